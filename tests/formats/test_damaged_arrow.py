"""Arrow streams with a damaged schema or damaged custom metadata: rows, or a PlatformError."""

import io

import pyarrow as pa
import pyarrow.ipc
import pytest

from flows_platform.columns.casting import as_mappings
from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.formats.decoders import Layout, open_document
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.lanl_flows.schema import FLOWS


def stream(batch: pa.RecordBatch, custom: dict[str, str] | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch, custom_metadata=custom)
    return bytes(sink.getvalue().to_pybytes())


def read(body: bytes, **layout: object) -> list[object]:
    document = open_document(WireFormat.ARROW, io.BytesIO(body), Layout(FLOWS, **layout))  # type: ignore[arg-type]
    return [record for piece in document.slices() for record in as_mappings(piece)]


GOOD = pa.RecordBatch.from_pydict({"column": [1, 2], "other": ["a", "b"]})


@pytest.mark.parametrize("name", [b"column", b"other"])
@pytest.mark.parametrize("damage", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80"])
def test_a_column_name_that_is_not_utf8_is_refused(name: bytes, damage: bytes) -> None:
    body = stream(GOOD).replace(name, damage.ljust(len(name), b"x"))
    with pytest.raises(SourceRefused, match=r"a name in the Arrow stream's schema is not UTF-8 \(b'.*x+'\)"):
        read(body)


@pytest.mark.parametrize("damage", [b"\xff\xff\xff", b"\x00\x00\x00", b"{]}"])
def test_metadata_that_nobody_reads_may_be_anything(damage: bytes) -> None:
    batch = GOOD.replace_schema_metadata({"pandas": "zzz", "yyy": "www"})
    body = stream(batch, {"kkk": "vvv"})
    for word in (b"zzz", b"yyy", b"www", b"kkk", b"vvv"):
        assert read(body.replace(word, damage)) == GOOD.to_pylist()


@pytest.mark.parametrize("count", ["\x7f", "-1", "9" * 400, "x"])
def test_a_damaged_footer_is_not_a_footer(count: str) -> None:
    footer = GOOD.slice(0, 0)
    sink = pa.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, GOOD.schema) as writer:
        writer.write_batch(GOOD)
        writer.write_batch(footer, custom_metadata={"count": count})
    with pytest.raises(StreamIncomplete, match="without the requested footer"):
        read(bytes(sink.getvalue().to_pybytes()), footer=True)


def test_a_time_zone_that_nobody_knows_is_refused() -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([0], pa.timestamp("us", "Europe/Paris"))], names=["t"])
    assert len(read(stream(batch))) == 1
    for zone in (b"Europe/Pxris", b"\xff\xffrope/Paris", b"+99:99aaaaaa"):
        with pytest.raises(SourceRefused, match="Arrow"):
            read(stream(batch).replace(b"Europe/Paris", zone))


@pytest.mark.parametrize("scale", [-1, -5, 12])
def test_a_decimal_with_another_scale_than_digits_is_refused(scale: int) -> None:
    batch = pa.RecordBatch.from_arrays(
        [pa.array([1]).cast(pa.decimal128(20, 0)).cast(pa.decimal128(9, 0))], names=["d"]
    )
    odd = pa.RecordBatch.from_arrays([batch.column(0).view(pa.decimal128(9, scale))], names=["d"])
    with pytest.raises(SourceRefused, match="is of type decimal"):
        read(stream(odd))
