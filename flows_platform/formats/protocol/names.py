"""The protocol between the API server and its clients: formats, content types, container names, the end marker.

Plain readers of NDJSON, CSV and Arrow would take a footer for a row, so those have one only where it is asked for
(`footer=1`): a last line `{"end":{"count":N}}`, a last record `end,N`, a last batch without rows whose custom metadata
holds `count`. `digest=1` adds the row digest (`RowDigest.total`, 16 hex digits) to the footer of any format, and so
implies one: `{"end":{"count":N,"digest":"…"}}`, `<?end count="N" digest="…"?>`, `end,N,…`, metadata `digest`.

Both halves take these names from here. JSON is `{"records":[…],"end":{"count":N}}`; XML is
`<records><record>…</record>…<?end count="N"?></records>`; NDJSON, CSV and Arrow carry rows alone, counted by
the header.
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
# XML 1.0 cannot carry most control characters: such a value is sent in base64 and says so in this attribute.
ENCODING_ATTRIBUTE = "encoding"
BASE64 = "base64"


class WireFormat(StrEnum):
    """The formats a stream may take, best first where a client leaves the choice to the server."""

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
        """Whether something may stand around the records: a total, or a link to the next page."""
        return self in {WireFormat.JSON, WireFormat.XML}


class Parser(StrEnum):
    """What reads a document: templates where they provably give what the reference gives, or the reference alone.

    The reference is ijson for JSON, lxml for XML and Python's own reader for CSV.
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
    """Why a format without an envelope does not do."""
    return f"nothing stands around the records of {wire}: no total, and no next link"
