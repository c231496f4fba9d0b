"""An Arrow IPC stream to record batches. Its end mark is optional: only the header's count proves it whole."""

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.ipc

from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.wire.decode.source import ByteSource, Readable

BUFFER = 1 << 18


class ArrowDocument:
    """A schema message, then record batches."""

    declared = None

    def __init__(self, source: ByteSource) -> None:
        self._reader = Readable(source)

    def slices(self) -> Iterator[pa.RecordBatch]:
        """The stream's batches as they come.

        Raises:
            StreamIncomplete: a message is cut.
            SourceRefused: not an Arrow stream.
        """
        try:
            # Buffered, since Arrow takes a short read for the end.
            with pyarrow.ipc.open_stream(io.BufferedReader(self._reader, BUFFER)) as stream:
                yield from stream
        except (pa.ArrowInvalid, OSError) as error:
            brief = str(error)[:200]
            if self._reader.ended:
                raise StreamIncomplete(f"the Arrow stream ends early ({brief}).") from error
            raise SourceRefused(f"the answer is not an Arrow stream ({brief}).") from error
