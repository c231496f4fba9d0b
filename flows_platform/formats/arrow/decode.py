"""Reads record batches of plain columns from an Arrow IPC stream. Its end mark is optional: a count proves it whole."""

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.ipc

from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.formats.arrow.messages import MessageReader
from flows_platform.formats.protocol.envelope import DeclaredTotal, declared_text
from flows_platform.formats.protocol.metered_reader import ByteSource
from flows_platform.formats.protocol.names import COUNT, DIGEST

BUFFER = 1 << 18
SLICE = 1 << 16  # rows


class ArrowDocument:
    """A schema message, then record batches."""

    def __init__(self, source: ByteSource, *, footer: bool = False) -> None:
        self._reader = MessageReader(source)
        self._footer = footer
        self.declared: DeclaredTotal | None = None

    @property
    def enclosed(self) -> bool:
        """Whether the end mark was seen."""
        return self._reader.enclosed

    def slices(self) -> Iterator[pa.RecordBatch]:
        """The stream's batches in order, in slices of at most 65,536 rows.

        Raises:
            StreamIncomplete: a message is cut, or the requested footer is missing.
            SourceRefused: it is not an Arrow stream, has columns that are not plain, or claims too many bytes or rows.
        """
        # guard: Arrow: names in UTF-8
        try:
            # Buffered, since Arrow treats a short read as the end.
            with pyarrow.ipc.open_stream(io.BufferedReader(self._reader, BUFFER)) as stream:
                _require_plain(stream.schema)
                for batch in self._batches(stream):
                    batch.validate(full=True)
                    for start in range(0, batch.num_rows, SLICE):
                        yield batch.slice(start, SLICE)
        except UnicodeDecodeError as error:
            raise SourceRefused(f"a name in the Arrow stream's schema is not UTF-8 ({error.object[:80]!r}).") from error
        except (pa.ArrowException, OSError) as error:
            raise SourceRefused(f"the answer is not an Arrow stream ({str(error)[:200]}).") from error
        if self._footer and self.declared is None:
            raise StreamIncomplete("the Arrow stream ends without the requested footer.")

    def _batches(self, stream: pyarrow.ipc.RecordBatchStreamReader) -> Iterator[pa.RecordBatch]:
        for batch, metadata in stream.iter_batches_with_custom_metadata():
            if self.declared:
                raise SourceRefused("a batch follows the footer of the Arrow stream.")
            if self._footer and metadata and not batch.num_rows:
                self.declared = declared_text(_text(metadata, COUNT), _text(metadata, DIGEST))
            yield batch


def _text(metadata: pa.KeyValueMetadata, name: str) -> str | None:
    value = metadata.get(name.encode())
    return None if value is None else value.decode("utf-8", "replace")


def _require_plain(schema: pa.Schema) -> None:
    """Refuse columns of nulls, views, runs and lists: they may claim more values than were sent."""
    if len(set(schema.names)) != len(schema.names):
        raise SourceRefused("two columns of the Arrow stream have the same name.")
    for field in schema:
        if not _is_plain(field.type):
            raise SourceRefused(
                f"the Arrow column {field.name[:80]!r} is of type {str(field.type)[:80]}; only numbers, texts, dates "
                "and times with at most microseconds are supported.",
                remedy="Have the server send plain columns.",
            )


def _is_plain(kind: pa.DataType) -> bool:
    types = pa.types
    # guard: Arrow: scales of decimals
    # guard: Arrow: existing time zones
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or (types.is_decimal(kind) and 0 <= kind.scale <= kind.precision)  # Python's Decimal fails on a damaged scale
        or types.is_boolean(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_date(kind)
        or (
            types.is_timestamp(kind) and kind.unit != "ns" and _has_zone(kind)
        )  # a Python datetime would lose nanoseconds
    )


def _has_zone(kind: pa.TimestampType) -> bool:
    """Whether Arrow knows the type's time zone, which it only looks up when it writes a time."""
    try:
        pa.array([0], kind).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True
