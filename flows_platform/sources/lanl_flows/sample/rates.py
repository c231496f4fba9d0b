"""How many rows a second gets: hours by the daily and weekly curve, seconds by the minute and noise. In integers."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flows_platform.sources.lanl_flows.sample import profile

type Ints = npt.NDArray[np.int64]

HOUR = 3600
_SILENT_BLOCK = 64  # seconds; the length of a hole in the quiet days


@dataclass(frozen=True, slots=True)
class HourPlan:
    """An hour of the data set and how many rows it gets; its seconds run from `first` to `last`."""

    number: int
    first: int
    last: int
    rows: int


def plan_hours(rows: int, days: int) -> Iterator[HourPlan]:
    """The hours that get rows, in order; together exactly `rows`."""
    hours = list(_weighted_hours(days))
    total = sum(weight for *_, weight in hours)
    done = passed = 0
    for number, first, last, weight in hours:
        passed += weight
        upto = rows * passed // total
        if upto > done:
            yield HourPlan(number, first, last, upto - done)
        done = upto


def _weighted_hours(days: int) -> Iterator[tuple[int, int, int, int]]:
    for number in range(24 * days):
        day = number // 24
        first, last = max(number * HOUR, 1), min((number + 1) * HOUR - 1, profile.LAST_SECOND)
        if day not in profile.ABSENT_DAYS and first <= last:
            rate = profile.HOURLY[number % 24] * (profile.WEEKEND_PERCENT if day in profile.WEEKEND_DAYS else 100)
            rate *= profile.QUIET_PERCENT if day >= profile.QUIET_FROM_DAY else 100
            yield number, first, last, rate * (last - first + 1)


@dataclass(frozen=True, slots=True)
class SecondCounts:
    """The seconds of an hour that have rows, their numbers of rows, and which are bursts between two computers."""

    seconds: Ints
    counts: Ints
    bursts: npt.NDArray[np.bool_]


def spread_over_seconds(plan: HourPlan, random: np.random.PCG64) -> SecondCounts:
    """Rows by second, in twos: a flow and its mirror share a second, even in a sparse file."""
    seconds = np.arange(plan.first, plan.last + 1)
    by_second = random.random_raw(HOUR).astype(np.uint64)
    within = seconds % HOUR
    draws, noise = by_second[within], np.array(profile.NOISE)
    weights = noise[_bits(draws, 0, 6)] * noise[_bits(draws, 6, 6)] * noise[_bits(by_second[within // 16 * 16], 12, 6)]
    weights *= np.array(profile.MINUTES)[within // 60]
    bursts = _bits(draws, 18, 10) < profile.BURST_PERMILLE * 1024 // 1000
    weights = np.where(bursts, weights * profile.BURST_FACTOR, weights) >> 16
    if plan.first // 86400 >= profile.QUIET_FROM_DAY:
        block = by_second[within // _SILENT_BLOCK * _SILENT_BLOCK]
        weights[_bits(block, 28, 10) < profile.SILENT_PERCENT * 1024 // 100] = 0
    return _apportion(plan.rows, seconds, weights, bursts)


def _apportion(rows: int, seconds: Ints, weights: Ints, bursts: npt.NDArray[np.bool_]) -> SecondCounts:
    passed = np.cumsum(weights)
    counts = 2 * np.diff(passed * (rows // 2) // passed[-1], prepend=0)
    counts[int(np.argmax(counts))] += rows % 2
    for edge in np.flatnonzero(np.isin(seconds, (1, profile.LAST_SECOND))):  # the set's bounds have rows
        donor = int(np.argmax(counts))
        if counts[edge] == 0 and counts[donor] > 1:
            counts[donor] -= 2
            counts[edge] = 2
    used = counts > 0
    return SecondCounts(seconds[used], counts[used], bursts[used])


def _bits(draws: npt.NDArray[np.uint64], shift: int, width: int) -> Ints:
    return ((draws >> np.uint64(shift)) & np.uint64((1 << width) - 1)).astype(np.int64)
