"""One window from the API to one staged Parquet file: whole and verified, or not there; its quarantine, replayed."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import batched
from pathlib import Path

from flows_platform.domain.errors import InputError, TooManyRejects
from flows_platform.domain.progress import Progress, silent
from flows_platform.domain.rejects import RejectedRecord
from flows_platform.domain.verification import Verification
from flows_platform.domain.windows import Window
from flows_platform.fetch.http import HttpClient
from flows_platform.fetch.in_window import inside
from flows_platform.fetch.records import Tee, WindowStream
from flows_platform.fetch.retry import attempts
from flows_platform.fetch.windowed_api import WindowedApi
from flows_platform.stores.files import atomic_path, atomic_paths, sha256_file
from flows_platform.stores.parquet import ParquetSink, StagedFacts, rows_of, staged_facts
from flows_platform.stores.quarantine import QuarantineSink, quarantine_path, read_quarantine
from flows_platform.stores.repeats import drop_repeats
from flows_platform.wire.casting import Casted, cast_slice
from flows_platform.wire.raw_records import Records, Unreadable, read_record

REPLAY_SLICE = 1024  # records
MORE_REJECTS = 100_000  # beyond those allowed: then the rest is not worth fetching, nor a full disk


@dataclass(frozen=True, slots=True)
class StagedWindow:
    """What one fetch brought. `received` = `rows` + `rejected` + `deduplicated`; times in the source's own seconds.

    `url` is the request without what is secret in it; `note` says why the verification is not what was asked for.
    """

    path: Path
    url: str
    rows: int
    rejected: int
    deduplicated: int
    requests: int
    received_bytes: int  # on the wire, before decompression
    file_bytes: int
    seconds: float
    first_time: int | datetime | None
    last_time: int | datetime | None
    format: str
    verification: Verification
    note: str
    tries: int

    @property
    def received(self) -> int:
        return self.rows + self.rejected + self.deduplicated

    @property
    def quarantine(self) -> Path | None:
        """The file of rejected records, where there are any."""
        return quarantine_path(self.path) if self.rejected else None


@dataclass(frozen=True, slots=True)
class RejectLimits:
    """How many records a window may set aside: a number, and a share of those received (0 to 1)."""

    number: int = 0
    share: float = 1.0

    def require(self, rejects: QuarantineSink, received: int, url: str, quarantine: Path) -> None:
        """Refuse more.

        Raises:
            TooManyRejects: there are more.
        """
        first, allowed = rejects.first, min(self.number, int(self.share * received))
        if first and rejects.count > allowed:
            raise TooManyRejects(
                f"{rejects.count:,} records of {url} do not fit the schema, {allowed:,} are allowed; the first is "
                f"record {first.position:,}: {first.reason}.",
                remedy=f"They are kept in {quarantine}; mend the source, or allow more rejected records.",
            )


def stage_window(
    client: HttpClient,
    api: WindowedApi,
    window: Window | None,
    target: Path,
    *,
    max_rejected: int = 0,
    max_rejected_share: float = 1.0,
    tries: int = 5,
    progress: Progress = silent,
    tee: Callable[[], Tee] = lambda: nullcontext,
) -> StagedWindow:
    """Fetch the window (all that there is for None) into `target`; progress in records.

    The file appears, or is replaced, only when all is proven. `tee` gives each try what may keep a copy of its pages.

    Rejected records go beside it (`quarantine_path`), also where there are too many. All tries together end with the
    client's deadline.

    Raises:
        Transient: the source failed `tries` times.
        TooManyRejects: more than `max_rejected` records, or than that share of them, do not fit the schema.
        Terminal: the source refused, or the file cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    limits, deadline = RejectLimits(max_rejected, max_rejected_share), client.deadline()
    for attempt in attempts(tries, within=client.limits.total):
        with attempt, api.redactor.errors():
            stream = WindowStream(client, api, window, progress, deadline, tee(), tries)
            return _stage_once(stream, target, limits, attempt.num)
    raise AssertionError("attempts() gives at least one try")  # pragma: no cover


def _stage_once(stream: WindowStream, target: Path, limits: RejectLimits, number: int) -> StagedWindow:
    started = time.monotonic()
    with atomic_path(target) as temporary:
        sink = ParquetSink(temporary, stream.api.schema)
        rejects = _drain(stream, sink, quarantine_path(target), limits.number + MORE_REJECTS)
        limits.require(rejects, stream.records, stream.url, quarantine_path(target))
        deduplicated = 0 if sink.keys_rise else drop_repeats(temporary, stream.api.schema)
        size = temporary.stat().st_size
    return StagedWindow(
        path=target,
        url=stream.url,
        rows=sink.rows - deduplicated,
        rejected=rejects.count,
        deduplicated=deduplicated,
        requests=stream.requests,
        received_bytes=stream.received_bytes,
        file_bytes=size,
        seconds=time.monotonic() - started,
        first_time=sink.first_time,
        last_time=sink.last_time,
        format=stream.format.value if stream.format else "",
        verification=stream.verification,
        note=stream.note,
        tries=number,
    )


def _drain(stream: WindowStream, sink: ParquetSink, quarantine: Path, most: int) -> QuarantineSink:
    """Good records to the Parquet file, bad ones to the quarantine, which is complete on its own.

    The Parquet file names the quarantine by its digest, since the two cannot be replaced in one step. Stops after
    `most` rejects.
    """
    with atomic_path(quarantine) as temporary, temporary.open("wb") as file, sink:
        rejects = QuarantineSink(file, stream.api.redactor)
        for casted in stream.batches():
            sink.write(casted.batch)
            rejects.write(casted.rejects)
            if rejects.count > most:
                break
        sink.describe(rejected=rejects.count, quarantine=rejects.sha256)
    if not rejects.count:
        quarantine.unlink(missing_ok=True)
    return rejects


@dataclass(frozen=True, slots=True)
class Replayed:
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


def replay_quarantine(api: WindowedApi, window: Window, target: Path, *, progress: Progress = silent) -> Replayed:
    """Cast the window's quarantined records again, after a fix, and merge the good ones into its staged file.

    Fetches nothing; progress in records. Killed anywhere, another replay gives the same files.

    Raises:
        InputError: there is no staged file, one of another schema, or the quarantine is not that of this file.
        SourceRefused: a record contradicts one of the file.
        StorageError: the files cannot be written.
    """
    quarantine = quarantine_path(target)
    facts, content = _matching(target, quarantine)
    if not content:
        return Replayed(target, facts.rows, 0, 0, 0)
    with atomic_paths(target, quarantine) as (merged, still):
        with still.open("wb") as file, ParquetSink(merged, api.schema) as sink:
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
                replayed=content,
            )
        deduplicated = 0 if sink.keys_rise else drop_repeats(merged, api.schema)
    if not rejects.count:
        quarantine.unlink(missing_ok=True)
    recovered = sink.rows - facts.rows - deduplicated
    return Replayed(target, sink.rows - deduplicated, recovered, deduplicated, rejects.count)


def _matching(target: Path, quarantine: Path) -> tuple[StagedFacts, str]:
    """The staged file's facts and its quarantine's digest, empty where there is none to replay."""
    if not target.exists():
        raise InputError(f"{target} is not there: nothing to merge records into.", remedy="Fetch the window first.")
    facts = staged_facts(target)
    if not quarantine.exists() and not facts.rejected:
        return facts, ""
    content = sha256_file(quarantine)
    if content not in {facts.quarantine, facts.replayed}:
        raise InputError(
            f"{quarantine} does not belong to {target}: it is of a fetch that failed later.",
            remedy="Fetch the window again.",
        )
    return facts, content


def _recast(api: WindowedApi, window: Window, quarantine: Path, progress: Progress) -> Iterator[Casted]:
    done = 0
    for rejects in batched(read_quarantine(quarantine), REPLAY_SLICE, strict=False):
        # A masked record is not what the source sent: it stays, and an unreadable one keeps its own reason.
        records: Records = [{} if each.redacted else _read(api, each.raw) for each in rejects]
        casted = inside(cast_slice(api.schema, records, 0, api.extra_column), api.schema, window)
        yield Casted(casted.batch, (), [_still(rejects[each.position], records, each) for each in casted.rejects])
        done += len(rejects)
        progress(done, None)


def _read(api: WindowedApi, raw: bytes) -> Mapping[str, object] | Unreadable:
    """A quarantined row as the declaration of now takes it."""
    row = read_record(raw)
    return row if isinstance(row, Unreadable) or api.mapping is None else api.mapping.again(row)


def _still(before: RejectedRecord, records: Records, again: RejectedRecord) -> RejectedRecord:
    """A record rejected anew: at its old place, as it came, with what is wrong with it now."""
    readable = isinstance(records[again.position], dict) and not before.redacted
    return replace(before, reason=again.reason if readable else before.reason)
