"""The protocol between the API server and its clients: formats, content types, container names, the end marker.

JSON is `{"records":[…],"end":{"count":N}}`; XML is `<records><record>…</record>…<?end count="N"?></records>`. NDJSON,
CSV and Arrow contain only rows, which a header counts: a plain reader would take a footer for a row. With `footer=1`
they have one: a last line `{"end":{"count":N}}`, a last record `end,N`, a last batch without rows whose custom metadata
has `count`. `digest=1` adds a footer with the row digest (`RowDigest.total`, 16 hex digits) to any format:
`{"end":{"count":N,"digest":"…"}}`, `<?end count="N" digest="…"?>`, `end,N,…`, metadata `digest`.
"""

from enum import StrEnum

RECORD_COUNT_HEADER = "Record-Count"
RECORDS = "records"  # JSON's array and XML's root
RECORD = "record"  # XML's element for one row
FOOTER_PARAMETER = "footer"
DIGEST_PARAMETER = "digest"
COUNT = "count"
DIGEST = "digest"
END = "end"  # JSON's footer object and XML's processing instruction
# XML 1.0 does not allow most control characters: such a value is sent in base64, with this attribute.
ENCODING_ATTRIBUTE = "encoding"
BASE64 = "base64"


class WireFormat(StrEnum):
    """The formats of a stream; the best come first, for clients that leave the choice to the server."""

    ARROW = "arrow"
    NDJSON = "ndjson"
    JSON = "json"
    CSV = "csv"
    XML = "xml"

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES[self]

    @property
    def has_envelope(self) -> bool:
        """Whether the format has an envelope around the records, for a total or a link to the next page."""
        return self in {WireFormat.JSON, WireFormat.XML}


class Parser(StrEnum):
    """What reads a document: templates if they provably give the same as the reference, or only the reference.

    The reference is ijson for JSON, lxml for XML and Python's csv module for CSV.
    """

    TEMPLATE = "template"
    REFERENCE = "reference"

    @classmethod
    def _missing_(cls, value: object) -> "Parser | None":
        """Accept `fast`, the name of the parser before templates, until 0.2."""
        return cls.TEMPLATE if value == "fast" else None


CONTENT_TYPES = {
    WireFormat.ARROW: "application/vnd.apache.arrow.stream",
    WireFormat.NDJSON: "application/x-ndjson",
    WireFormat.JSON: "application/json",
    WireFormat.CSV: "text/csv",
    WireFormat.XML: "application/xml",
}


def nothing_around(wire: str) -> str:
    """Why an option that reads the envelope does not fit a format without one."""
    return f"{wire} has nothing around the records: no total, and no next link"
