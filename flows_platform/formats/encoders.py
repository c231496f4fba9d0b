"""From rows to bytes: `for_format` returns the encoder of a table in a format. No I/O, no selection of rows."""

from flows_platform.domain.schema import TableSchema
from flows_platform.formats.csv.encode import CsvEncoder
from flows_platform.formats.json.encode import JsonEncoder
from flows_platform.formats.json.lines_encode import NdjsonEncoder
from flows_platform.formats.protocol.encoder import Encoder
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.formats.xml.encode import XmlEncoder


def for_format(wire_format: WireFormat, schema: TableSchema) -> Encoder:
    """The encoder that writes rows of `schema` in `wire_format`. The first call for Arrow loads pyarrow."""
    match wire_format:
        case WireFormat.JSON:
            return JsonEncoder(schema)
        case WireFormat.NDJSON:
            return NdjsonEncoder(schema)
        case WireFormat.XML:
            return XmlEncoder(schema)
        case WireFormat.CSV:
            return CsvEncoder(schema)
        case WireFormat.ARROW:
            # pyarrow takes 40 MB and a third of a second to load; a server that never sends Arrow should not pay that.
            from flows_platform.formats.arrow.encode import ArrowEncoder  # noqa: PLC0415

            return ArrowEncoder(schema)
