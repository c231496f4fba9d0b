"""A window's quarantined records, cast again after a fix and merged into its staged file. Fetches nothing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import batched
from pathlib import Path

from flows_platform.columns.casting import Casted, cast_slice
from flows_platform.columns.raw_records import Records, Unreadable
from flows_platform.domain.errors import InputError
from flows_platform.domain.progress import Progress, silent
from flows_platform.domain.rejects import RejectedRecord
from flows_platform.domain.windows import Window
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.out_of_window import inside
from flows_platform.formats.json.record_line import read_record
from flows_platform.runtime.atomic_files import atomic_paths, sha256_file
from flows_platform.window_files.duplicates import drop_repeats
from flows_platform.window_files.parquet import ParquetSink, StagedFacts, rows_of, staged_facts
from flows_platform.window_files.quarantine import QuarantineSink, quarantine_path, read_quarantine

SLICE = 1024  # records


@dataclass(frozen=True, slots=True)
class Reprocessed:
    """What became of a window's quarantined records; `recovered` of them are rows of the staged file now."""

    path: Path
    rows: int
    recovered: int
    deduplicated: int
    rejected: int

    @property
    def quarantine(self) -> Path | None:
        """The file of records that are still rejected, where there are any."""
        return quarantine_path(self.path) if self.rejected else None


type Merged = Callable[[Reprocessed, Path], None]


def reprocess_quarantine(
    api: WindowedApi,
    window: Window,
    target: Path,
    *,
    progress: Progress = silent,
    merged: Merged = lambda *_: None,
) -> Reprocessed:
    """Cast the window's quarantined records again, after a fix, and merge the good ones into its staged file.

    Fetches nothing; progress in records. Killed anywhere, another try gives the same files. `merged` is called with
    the outcome and the new file before that takes the old one's name; not where there was nothing to reprocess.

    Raises:
        InputError: there is no staged file, one of another schema, or the quarantine is not that of this file.
        SourceRefused: a record contradicts one of the file.
        StorageError: the files cannot be written.
    """
    quarantine = quarantine_path(target)
    facts, content = _matching(target, quarantine)
    if not content:
        return Reprocessed(target, facts.rows, 0, 0, 0)
    with atomic_paths(target, quarantine) as (mended, still):
        with still.open("wb") as file, ParquetSink(mended, api.schema) as sink:
            rejects = QuarantineSink(file, api.redactor)
            for batch in rows_of(target, api.schema):
                sink.write(batch)
            for casted in _recast(api, window, quarantine, progress):
                sink.write(casted.batch)
                rejects.write(casted.rejects)
            sink.describe(
                rejected=rejects.count,
                deduplicated=facts.deduplicated,
                quarantine=rejects.sha256,
                replayed=content,  # the footer's key, as files of before have it
                beside=facts.beside,
            )
        deduplicated = 0 if sink.keys_rise else drop_repeats(mended, api.schema).dropped
        recovered = sink.rows - facts.rows - deduplicated
        reprocessed = Reprocessed(target, sink.rows - deduplicated, recovered, deduplicated, rejects.count)
        merged(reprocessed, mended)
    if not rejects.count:
        quarantine.unlink(missing_ok=True)
    return reprocessed


def _matching(target: Path, quarantine: Path) -> tuple[StagedFacts, str]:
    """The staged file's facts and its quarantine's digest, empty where there is none to reprocess."""
    if not target.exists():
        raise InputError(f"{target} is not there: nothing to merge records into.", remedy="Fetch the window first.")
    facts = staged_facts(target)
    if not quarantine.exists() and not facts.rejected:
        return facts, ""
    content = sha256_file(quarantine)
    # guard: a quarantine belongs to its file
    if content not in {facts.quarantine, facts.reprocessed}:
        raise InputError(
            f"{quarantine} does not belong to {target}: it is of a fetch that failed later.",
            remedy="Fetch the window again.",
        )
    return facts, content


def _recast(api: WindowedApi, window: Window, quarantine: Path, progress: Progress) -> Iterator[Casted]:
    done = 0
    for rejects in batched(read_quarantine(quarantine), SLICE, strict=False):
        # A masked record is not what the source sent: it stays, and an unreadable one keeps its own reason.
        records: Records = [{} if each.redacted else _read(api, each.raw) for each in rejects]
        casted = inside(cast_slice(api.schema, records, 0, api.extra_column), api.schema, window)
        yield Casted(casted.batch, (), [_still(rejects[each.position], records, each) for each in casted.rejects])
        done += len(rejects)
        progress(done, None)


def _read(api: WindowedApi, raw: bytes) -> Mapping[str, object] | Unreadable:
    """A quarantined row as the declaration of now takes it."""
    row = read_record(raw)
    return row if isinstance(row, Unreadable) or api.mapping is None else api.mapping.remap(row)


def _still(before: RejectedRecord, records: Records, again: RejectedRecord) -> RejectedRecord:
    """A record rejected anew: at its old place, as it came, with what is wrong with it now."""
    readable = isinstance(records[again.position], dict) and not before.redacted
    return replace(before, reason=again.reason if readable else before.reason)
