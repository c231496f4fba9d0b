"""Records that a staged file holds more than once: identical ones are kept once, conflicting ones refused."""

from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from flows_platform.domain.errors import SourceRefused
from flows_platform.domain.schema import TableSchema
from flows_platform.stores.files import atomic_path
from flows_platform.stores.parquet import ParquetSink, batches_of, staged_facts
from flows_platform.wire.arrow_schema import arrow_schema
from flows_platform.wire.raw_records import raw_record


def drop_repeats(path: Path, schema: TableSchema) -> int:
    """Rewrite the file without repeated records, if it has any, and give their number.

    Holds the key column; then a hash for each key that repeats.

    Raises:
        SourceRefused: two records of one key differ.
    """
    keys = [batch.column(0) for batch in batches_of(path, columns=[schema.key])]
    counts = pc.value_counts(pa.chunked_array(keys, arrow_schema(schema).field(schema.key).type))
    repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    if not len(repeated):
        return 0
    facts = staged_facts(path)
    with atomic_path(path) as temporary, ParquetSink(temporary, schema) as sink:
        first = _FirstOfEach(schema, repeated)
        for batch in batches_of(path):
            sink.write(first.of(batch))
        dropped = facts.rows - sink.rows
        entries = asdict(facts) | {"deduplicated": facts.deduplicated + dropped}
        del entries["rows"]
        sink.describe(**entries)
    return dropped


class _FirstOfEach:
    """Keeps the first record of each repeated key, and compares the others with it."""

    def __init__(self, schema: TableSchema, repeated: pa.Array) -> None:
        self._key = schema.key
        self._repeated = repeated
        self._seen: dict[object, bytes] = {}

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch without repeats.

        Raises:
            SourceRefused: two records of one key differ.
        """
        suspects = pc.is_in(batch.column(self._key), value_set=self._repeated)
        if not pc.any(suspects).as_py():
            return batch
        keep = iter([self._is_first(record) for record in batch.filter(suspects).to_pylist()])
        return batch.filter(pa.array([next(keep) if suspect else True for suspect in suspects.to_pylist()]))

    def _is_first(self, record: dict[str, object]) -> bool:
        content = sha256(raw_record(record)).digest()
        known = self._seen.setdefault(record[self._key], content)
        if known is content:
            return True
        if known != content:
            raise SourceRefused(
                f"two records of one window have {self._key} {record[self._key]!r} and differ.",
                remedy="The source contradicts itself: mend it there, then run the window again.",
            )
        return False
