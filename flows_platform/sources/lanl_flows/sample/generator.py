"""Generates a raw file in the shape of LANL's `flows.txt`, of any size, from a seed.

The same rows, seed and days give the same lines on every machine: raw bits of PCG64, integer tables, no distribution
functions. (The compressed bytes of a `.gz` file may differ, since isal chooses its code by the processor.)
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
from isal.igzip import IGzipFile

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.progress import Progress, silent
from flows_platform.runtime.atomic_files import atomic_path
from flows_platform.runtime.read_ahead import read_ahead
from flows_platform.sources.lanl_flows.flow_lines import file_order, to_lines
from flows_platform.sources.lanl_flows.sample import profile, profile_volumes
from flows_platform.sources.lanl_flows.sample.exchanges import Flows, draw_flows
from flows_platform.sources.lanl_flows.sample.lookup_tables import PROTOCOLS
from flows_platform.sources.lanl_flows.sample.rates import plan_hours, spread_over_seconds

CHUNK_ROWS = 1 << 15  # whole seconds with about this many rows, some 15 MB of arrays; larger chunks are not faster
LARGEST_FROM_ROWS = 1000  # files of at least this size have one row with the largest packet and byte counts
# isal's stubs leave this without types: name, mode, level, file, time.
_DEFLATING = cast("Callable[[str, str, int, BinaryIO, int], BinaryIO]", IGzipFile)


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """What was written; `bytes` is the size on disk."""

    path: Path
    rows: int
    bytes: int


def generate(
    out: Path, *, rows: int, seed: int = 0, days: int = profile.SET_DAYS, progress: Progress = silent
) -> GeneratedFile:
    """Write exactly `rows` flows over the data set's first `days` days to `out`, in gzip if it ends in `.gz`.

    Progress in rows.

    Raises:
        ConfigurationError: rows, seed or days are out of range.
        StorageError: the file cannot be written.
    """
    if rows < 1 or seed < 0 or not 1 <= days <= profile.SET_DAYS:
        raise ConfigurationError(
            f"cannot generate {rows} rows over {days} days from seed {seed}.",
            remedy=f"Rows are 1 or more, days 1 to {profile.SET_DAYS}, the seed is not negative.",
        )
    with atomic_path(out) as draft:
        with draft.open("wb") as file, closing(read_ahead(_chunks(rows, seed, days), depth=2)) as chunks:
            _write(chunks, file, compress=out.suffix == ".gz", rows=rows, progress=progress)
        size = draft.stat().st_size
    return GeneratedFile(out, rows, size)


def _write(
    chunks: Iterator[tuple[int, pa.Buffer]], file: BinaryIO, *, compress: bool, rows: int, progress: Progress
) -> None:
    # No name and no time in the header: the file is the same at any time and any path.
    stream = _DEFLATING("", "wb", 1, file, 0) if compress else file
    done = 0
    for count, lines in chunks:
        stream.write(lines)
        done += count
        progress(done, rows)
    if compress:
        stream.close()


def _chunks(rows: int, seed: int, days: int) -> Iterator[tuple[int, pa.Buffer]]:
    """The number of rows and the text of every chunk, in the file's order."""
    needs_largest = rows >= LARGEST_FROM_ROWS
    for plan in plan_hours(rows, days):
        random = np.random.PCG64(np.random.SeedSequence((seed, plan.number)))
        spread = spread_over_seconds(plan, random)
        for piece in _cut(spread.counts):
            flows = draw_flows(spread.seconds[piece], spread.counts[piece], spread.bursts[piece], random)
            if needs_largest:
                _make_largest(flows)
                needs_largest = False
            yield len(flows.second), to_lines(flows, file_order(flows))


def _cut(counts: np.typing.NDArray[np.int64]) -> Iterator[slice]:
    """Slices of whole seconds, of about `CHUNK_ROWS` rows."""
    chunk = (np.cumsum(counts) - counts) // CHUNK_ROWS
    edges = [0, *(np.flatnonzero(np.diff(chunk)) + 1).tolist(), len(counts)]
    for start, end in pairwise(edges):
        yield slice(start, end)


def _make_largest(flows: Flows) -> None:
    """Give one TCP row the largest counts of the real file, which do not fit 32 bits."""
    row = int(np.argmax(flows.protocol == PROTOCOLS.index(6)))
    flows.packets[row] = profile_volumes.MAX_PACKETS[6]
    flows.bytes[row] = profile_volumes.MAX_BYTES[6]
