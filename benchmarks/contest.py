"""Contenders measured side by side: A B A B, so that what disturbs the machine disturbs all. Does not know stages."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from benchmarks.sizes import Sizes
from flows_platform.domain.errors import InputError
from flows_platform.domain.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Trial:
    """One measured run: rows it moved, seconds by the clock, CPU-seconds, peak memory in bytes (0: not measured)."""

    rows: int
    seconds: float
    cpu: float = 0.0
    rss: int = 0


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of doing it. `result` is a digest of its last trial's output; it must be the same within a `group`."""

    name: str
    trial: Callable[[], Trial]
    result: Callable[[], str] | None = None
    group: str = ""


class Quantity(StrEnum):
    """The quantity of a trial that is compared."""

    RATE = "rows a second"
    SECONDS = "seconds"
    CPU = "CPU-seconds a row"
    RSS = "peak memory"

    def of(self, trial: Trial) -> float:
        """Its value in one trial; memory in MB."""
        match self:
            case Quantity.RATE:
                return trial.rows / trial.seconds
            case Quantity.SECONDS:
                return trial.seconds
            case Quantity.CPU:
                return trial.cpu / trial.rows
            case Quantity.RSS:
                return trial.rss / 1e6


@dataclass(frozen=True, slots=True)
class Goal:
    """The target of a stage: `ours` in relation to `baseline`, or by itself without one."""

    stage: str
    ours: str
    baseline: str = ""
    quantity: Quantity = Quantity.RATE
    at_least: float | None = None
    at_most: float | None = None

    def value(self, trials: Mapping[str, Sequence[Trial]]) -> float:
        """The median, or the ratio of two medians."""
        value = self._median(trials[self.ours])
        return value / self._median(trials[self.baseline]) if self.baseline else value

    def range(self, trials: Mapping[str, Sequence[Trial]]) -> tuple[float, float]:
        """The lowest and the highest value of a round."""
        ours = [self.quantity.of(trial) for trial in trials[self.ours]]
        if self.baseline:
            base = [self.quantity.of(trial) for trial in trials[self.baseline]]
            ours = [one / other for one, other in zip(ours, base, strict=True)]
        return min(ours), max(ours)

    def reached(self, value: float) -> bool | None:
        """None if there is no target."""
        if self.at_least is None and self.at_most is None:
            return None
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def _median(self, trials: Sequence[Trial]) -> float:
        return median(self.quantity.of(trial) for trial in trials)


@dataclass(frozen=True, slots=True)
class Row:
    """A contest by the name that the command line takes.

    `contest` opens what it needs (servers, data) and gives the contenders; `others` says that it needs the others'
    packages. `rounds` multiplies the repeats where a trial is short.
    """

    name: str
    goals: Sequence[Goal]
    contest: Callable[[Sizes], AbstractContextManager[Sequence[Contender]]]
    others: bool = False
    rounds: int = 1


type Trials = dict[str, list[Trial]]


def compete(
    contenders: Sequence[Contender],
    repeats: int,
    keep: Callable[[Trials], None],
    trials: Trials,
    progress: Progress = silent,
) -> Trials:
    """Run one round to warm up, then rounds until there are `repeats`, with those of `trials`; `keep` sees each round.

    Raises:
        InputError: contenders of one group put out different things.
    """
    first = min((len(trials.get(contender.name, [])) for contender in contenders), default=0)
    done, total = 0, (1 + max(0, repeats - first)) * len(contenders)
    for number in range(first - 1, repeats):
        for contender in contenders:
            trial = contender.trial()
            if number >= first:
                trials.setdefault(contender.name, []).append(trial)
            done += 1
            progress(done, total)
        if number >= first:
            keep(trials)
        if number in {first - 1, repeats - 1}:
            require_equal(contenders)
    return trials


def require_equal(contenders: Sequence[Contender]) -> None:
    """Refuse contenders of one group whose outputs differ."""
    results: dict[str, tuple[str, str]] = {}
    for contender in contenders:
        if contender.result is None:
            continue
        result = contender.result()
        name, expected = results.setdefault(contender.group, (contender.name, result))
        if result != expected:
            raise InputError(f"{contender.name} put out {result}, but {name} put out {expected}: they do not compare.")
