"""One window from the API to one staged Parquet file: whole and verified, or not there at all."""

import time
from dataclasses import dataclass
from pathlib import Path

from flows_platform.domain.errors import TooManyRejects
from flows_platform.domain.progress import Progress, silent
from flows_platform.domain.verification import Verification
from flows_platform.domain.windows import TimeBounds
from flows_platform.fetch.http import HttpClient
from flows_platform.fetch.records import WindowStream
from flows_platform.fetch.retry import attempts
from flows_platform.fetch.windowed_api import WindowedApi
from flows_platform.stores.files import atomic_path
from flows_platform.stores.parquet import ParquetSink
from flows_platform.stores.quarantine import QuarantineSink, quarantine_path


@dataclass(frozen=True, slots=True)
class StagedWindow:
    """What one fetch brought. `received` = `rows` + `rejected`; times are in the source's own seconds."""

    path: Path
    url: str
    rows: int
    rejected: int
    received_bytes: int  # on the wire, before decompression
    file_bytes: int
    seconds: float
    first_time: int | None
    last_time: int | None
    format: str
    verification: Verification
    tries: int

    @property
    def received(self) -> int:
        return self.rows + self.rejected

    @property
    def quarantine(self) -> Path | None:
        """The file of rejected records, where there are any."""
        return quarantine_path(self.path) if self.rejected else None


def stage_window(
    client: HttpClient,
    api: WindowedApi,
    bounds: TimeBounds,
    target: Path,
    *,
    max_rejected: int = 0,
    tries: int = 5,
    progress: Progress = silent,
) -> StagedWindow:
    """Fetch the window into `target`; progress in records. The file appears, or is replaced, only when all is proven.

    Rejected records go beside it (`quarantine_path`), also where there are too many.

    Raises:
        Transient: the source failed `tries` times.
        TooManyRejects: more than `max_rejected` records do not fit the schema.
        Terminal: the source refused, or the file cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for attempt in attempts(tries):
        with attempt:
            return _stage_once(WindowStream(client, api, bounds, progress), target, max_rejected, attempt.num)
    raise AssertionError("attempts() gives at least one try")  # pragma: no cover


def _stage_once(stream: WindowStream, target: Path, max_rejected: int, number: int) -> StagedWindow:
    started = time.monotonic()
    with atomic_path(target) as temporary:
        sink = ParquetSink(temporary, stream.api.schema)
        rejected = _drain(stream, sink, target)
        _require_few(rejected, max_rejected, target, stream.url)
        sink.require_unique_keys()
        size = temporary.stat().st_size
    return StagedWindow(
        path=target,
        url=stream.url,
        rows=sink.rows,
        rejected=rejected.count,
        received_bytes=stream.received_bytes,
        file_bytes=size,
        seconds=time.monotonic() - started,
        first_time=sink.first_time,
        last_time=sink.last_time,
        format=stream.format.value if stream.format else "",
        verification=stream.verification,
        tries=number,
    )


def _drain(stream: WindowStream, sink: ParquetSink, target: Path) -> QuarantineSink:
    """Good records to the Parquet file, bad ones to the quarantine, which is complete on its own."""
    quarantine = quarantine_path(target)
    with atomic_path(quarantine) as temporary, temporary.open("wb") as file, sink:
        rejects = QuarantineSink(file)
        for casted in stream.batches():
            sink.write(casted.batch)
            rejects.write(casted.rejects)
    if not rejects.count:
        quarantine.unlink(missing_ok=True)
    return rejects


def _require_few(rejected: QuarantineSink, limit: int, target: Path, url: str) -> None:
    if rejected.count > limit and rejected.first:
        raise TooManyRejects(
            f"{rejected.count:,} records of {url} do not fit the schema, {limit:,} are allowed; the first is record "
            f"{rejected.first.position:,}: {rejected.first.reason}.",
            remedy=f"They are kept in {quarantine_path(target)}; mend the source, or allow more rejected records.",
        )
