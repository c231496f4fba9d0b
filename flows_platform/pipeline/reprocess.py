"""Reprocess a window: cast its quarantined records again and merge the good ones into its file. Fetches nothing."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import batched, groupby
from operator import attrgetter
from pathlib import Path

import pyarrow as pa

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
from flows_platform.window_files.duplicates import NONE, drop_repeats
from flows_platform.window_files.parquet import Footer, ParquetSink, batches_of, footer_of, rows_of
from flows_platform.window_files.profile import Profile, ProfilePlan, Profiler
from flows_platform.window_files.quarantine import QuarantineSink, quarantine_path, read_quarantine
from flows_platform.window_files.window_file import WindowFile

SLICE = 1024  # records


@dataclass(frozen=True, slots=True)
class Reprocessed:
    """What became of a window's quarantined records: `recovered` of them are rows of the file now.

    `deduplicated` of them were rows of the file already, `rejected` are still quarantined.
    """

    location: Path
    rows: int
    recovered: int
    deduplicated: int
    rejected: int
    profile: Profile | None = None

    @property
    def quarantine(self) -> Path | None:
        """Path of the records that are still rejected; None if there are none."""
        return quarantine_path(self.location) if self.rejected else None


type Merged = Callable[[Reprocessed, WindowFile], None]


def reprocess_quarantine(
    api: WindowedApi,
    window: Window,
    target: Path,
    *,
    progress: Progress = silent,
    merged: Merged = lambda *_: None,
    profile: ProfilePlan | None = None,
) -> Reprocessed:
    """Cast the window's quarantined records again, after a fix, and merge the good ones into its file.

    Progress in records. If the process dies at any point, another try gives the same files. `merged` is called with the
    outcome and the new file, before this replaces the old file; it is not called if there is nothing to reprocess.

    Raises:
        InputError: there is no window file, it has another schema, or the quarantine does not belong to it.
        ConfigurationError: a column shows the time of the fetch, which the file does not have.
        SourceRefused: a record contradicts a row of the file.
        StorageError: the files cannot be written.
    """
    quarantine, profiler = quarantine_path(target), partial(Profiler.of, profile, api.schema)
    footer, content = _matching(target, quarantine)
    if not content:
        return Reprocessed(target, footer.rows, 0, 0, 0, _read_profile(target, profiler()))
    with atomic_paths(target, quarantine) as (temporary, still):
        with still.open("wb") as file, ParquetSink(temporary, api.schema, profiler()) as sink:
            rejects = QuarantineSink(file, api.redactor)
            for batch in rows_of(target, api.schema):
                sink.write(batch)
            for casted in _recast(partial(api.for_window, window, footer.fetched), window, quarantine, progress):
                sink.write(casted.batch)
                rejects.write(casted.rejects)
            sink.footer = replace(footer, rejected=rejects.count, quarantine=rejects.sha256, reprocessed=content)
        repeats = NONE if sink.keys_rise else drop_repeats(temporary, api.schema, profiler=profiler)
        made = (repeats.sink or sink).window_file(window, target)
        recovered = made.rows - footer.rows
        reprocessed = Reprocessed(target, made.rows, recovered, repeats.dropped, rejects.count, made.profile)
        merged(reprocessed, made)
    if not rejects.count:
        quarantine.unlink(missing_ok=True)
    return reprocessed


def _read_profile(path: Path, profiler: Profiler | None) -> Profile | None:
    """The profile of a file that exists already."""
    if profiler is None:
        return None
    for batch in batches_of(path):
        profiler.add(pa.Table.from_batches([batch]))
    return profiler.profile()


def _matching(target: Path, quarantine: Path) -> tuple[Footer, str]:
    """The window file's footer, and the digest of its quarantine; empty if there is nothing to reprocess."""
    if not target.exists():
        raise InputError(
            f"{target} does not exist: there is nothing to merge records into.", remedy="Fetch the window first."
        )
    footer = footer_of(target)
    if not quarantine.exists() and not footer.rejected:
        return footer, ""
    content = sha256_file(quarantine)
    # guard: a quarantine belongs to its file
    if content not in {footer.quarantine, footer.reprocessed}:
        raise InputError(
            f"{quarantine} does not belong to {target}: it comes from a later fetch, which failed.",
            remedy="Fetch the window again.",
        )
    return footer, content


def _recast(
    api_of: Callable[[str | None], WindowedApi], window: Window, quarantine: Path, progress: Progress
) -> Iterator[Casted]:
    done = 0
    for value, rejects in _by_value(read_quarantine(quarantine)):
        api = api_of(value)
        # A masked record is not what the source sent, so it stays rejected; an unreadable one keeps its reason.
        records: Records = [{} if reject.redacted else _read(api, reject.raw) for reject in rejects]
        casted = cast_slice(api.schema, records, 0, api.extra_column)
        if not api.time_is_given:
            casted = inside(casted, api.schema, window)
        yield Casted(casted.batch, (), [_still(rejects[again.position], records, again) for again in casted.rejects])
        done += len(rejects)
        progress(done, None)


def _by_value(rejects: Iterable[RejectedRecord]) -> Iterator[tuple[str | None, tuple[RejectedRecord, ...]]]:
    """Slices of rejects that came from one pull, with its value of `for_each`."""
    for value, same in groupby(rejects, key=attrgetter("value")):
        for several in batched(same, SLICE, strict=False):
            yield value, several


def _read(api: WindowedApi, raw: bytes) -> Mapping[str, object] | Unreadable:
    """A quarantined row as the current mapping reads it."""
    row = read_record(raw)
    return row if isinstance(row, Unreadable) or api.mapping is None else api.mapping.remap(row)


def _still(before: RejectedRecord, records: Records, again: RejectedRecord) -> RejectedRecord:
    """A record that is rejected again: its position and content stay, the reason is the current one."""
    readable = isinstance(records[again.position], dict) and not before.redacted
    return replace(before, reason=again.reason if readable else before.reason)
