"""JSON objects, one after another, read by Arrow. Of what it does not take the reference says why."""

import io
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.json

from flows_platform.columns.arrow_schema import ARROW_TYPES
from flows_platform.domain.schema import Column, ColumnType
from flows_platform.formats.protocol.parser import ARROW_READS

NEWLINE = b"\n"[0]
# Arrow dies (SIGSEGV) of a block whose first value is null, and passes over a byte order mark before it.
_BETWEEN = (b"}\n{", b"}\r\n{")  # objects, each on a line: no text holds a newline
_OBJECT = re.compile(rb"[ \t\n\r]*\{")
# Times are left as texts: Arrow's own reading of them also takes what has no zone.
PARSED = {each: ARROW_TYPES[each] for each in ARROW_READS} | {ColumnType.TIMESTAMP: pa.string()}


class ArrowLines:
    """Reads objects of these columns, all of which it can read."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._schema = pa.schema([(column.name, PARSED[column.type]) for column in columns])

    def read_whole(self, lines: bytes, longest: int) -> pa.RecordBatch | None:
        """A record of each line, where it is certain that the reference would give the same.

        No line is read that has more than `longest` bytes.
        """
        ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == NEWLINE)
        if not len(ends) or int(np.diff(ends, prepend=-1).max()) > longest + 1:
            return None
        batch = self.read(lines)
        if batch is None or batch.num_rows != len(ends):
            return None
        # As many records as lines, but two on one and none on another are not what they seem.
        if not lines.endswith((b"}\n", b"}\r\n")) or sum(map(lines.count, _BETWEEN)) != batch.num_rows - 1:
            return None
        return None if any(column.null_count for column in batch.columns) else batch

    def read(self, lines: bytes) -> pa.RecordBatch | None:
        """All of them, NULL where a field is missing; None where one has another field, or a value of another type.

        White space alone need not part them. None also where each column has a NULL: of a record that is `null` Arrow
        makes a row of nothing else.
        """
        # guard: Arrow sees objects alone: it dies of null
        if not _OBJECT.match(lines):
            return None
        options = pyarrow.json.ParseOptions(explicit_schema=self._schema, unexpected_field_behavior="error")
        whole = pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
        try:
            batches = pyarrow.json.read_json(io.BytesIO(lines), whole, options).combine_chunks().to_batches()
            for batch in batches:
                # guard: bytes that are not UTF-8, read by Arrow
                batch.validate(full=True)  # it takes bytes that are not UTF-8
        except pa.ArrowException:
            return None
        # guard: Arrow makes a row of NULLs of null
        return batches[0] if len(batches) == 1 and not all(each.null_count for each in batches[0].columns) else None
