"""RESULTS.md, rendered from the raw timings. Knows goals, but not stages."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import cast

from benchmarks.contest import Goal, Quantity, Row
from benchmarks.machine import BUSY
from benchmarks.record import Record

HEADER = ("stage", "measured", "against", "ratio", "rounds", "target", "of its CPU", "peak RSS", "reached")
WAYS_HEADER = ("row", "way", "seconds", "CPU-seconds", "rows a second", "peak RSS")
METHOD = """\
Written by `make bench`, from the harness in this folder. Ways that are compared run in turns (A B A B), after a round
to warm up; the figures are medians, *rounds* gives the lowest and the highest of a round. What each way puts out was
compared and is equal. A ratio is of rows a second, unless the stage names something else. *Of its CPU* is the share of
the other way's CPU-seconds a row, which a busy machine disturbs less. Peak RSS is the kernel's VmHWM. Both are of the
command and all its children together, or of the server. Cleaning is measured on a file of four times the rows as well,
since its start is a quarter of its time at 3 million. DuckDB reads what curl pipes to it and is given the columns'
types; Tenzir reads by its own HTTP client; both write Parquet with zstd, as we do. *curl* alone throws the same bytes
away: no client takes less. The guide's server of reports asks Snowflake; its route is measured over DuckDB in the
same process, without that way, and ours over the embedded warehouse. Answers of ours are kept where a row says so.
"""
A_LONG_TIME = 10  # seconds: shown as such
NO_BASELINE = "-"


def render(rows: Iterable[Row], records: Mapping[str, Record]) -> str:
    """The whole document."""
    measured = [(row, records[row.name]) for row in rows if row.name in records]
    lines = ["# Results", "", METHOD]
    lines += _machine([record for _, record in measured])
    lines += ["", _line(HEADER), _line(["---"] * len(HEADER))]
    for row, record in measured:
        lines += [_line(_cells(goal, record)) for goal in row.goals]
    lines += ["", "Every way by itself, medians:", "", _line(WAYS_HEADER), _line(["---"] * len(WAYS_HEADER))]
    lines += [_line(cells) for _, record in measured for cells in _ways(record)]
    absent = [row.name for row in rows if row.name not in records]
    if absent:
        lines += ["", f"Not measured yet: {', '.join(absent)}."]
    return "\n".join(lines) + "\n"


def _machine(records: Sequence[Record]) -> Iterator[str]:
    """The machine and the sizes of the measurements; what was the same for all rows is there once."""
    if not records:
        return
    facts = records[-1].facts
    packages = cast("Mapping[str, str]", facts["packages"])
    yield "- " + ", ".join(f"{name} {value}" for name, value in facts.items() if name != "packages")
    yield "- " + ", ".join(f"{name} {number}" for name, number in packages.items())
    sizes = sorted({record.rows for record in records})
    yield f"- Rows of the data set: {' and '.join(f'{size:,}' for size in sizes)}"
    commits = sorted({str(record.facts["commit"]) for record in records})
    if len(commits) > 1:
        yield f"- **Not of one commit**: {', '.join(commits)}"
    yield "- Load average at the start of every row: " + ", ".join(
        f"{record.name} {record.load[0]}" for record in records
    )
    noisy = [f"{record.name} ({record.busy:.0%})" for record in records if record.busy > BUSY]
    if noisy:
        yield f"- **The machine was not quiet**: others used the CPUs when these rows began: {', '.join(noisy)}"


def _cells(goal: Goal, record: Record) -> list[str]:
    if not record.trials.get(goal.ours) or (goal.baseline and not record.trials.get(goal.baseline)):
        return [goal.stage, goal.ours, goal.baseline or NO_BASELINE, "not measured", "", _target(goal), "", "", ""]
    value = goal.value(record.trials)
    low, high = goal.range(record.trials)
    rss = median(trial.rss for trial in record.trials[goal.ours])
    outcome = {None: "", True: "yes", False: "**no**"}[goal.reached(value)]
    spread = f"{shown(goal, low)} to {shown(goal, high)}"
    figures = [shown(goal, value), spread, _target(goal), _cpu_share(goal, record), _memory(rss), outcome]
    return [goal.stage, goal.ours, goal.baseline or NO_BASELINE, *figures]


def _ways(record: Record) -> Iterator[list[str]]:
    """The medians of every contender."""
    for way, trials in record.trials.items():
        seconds, cpu, rate, rss = (
            median(values)
            for values in zip(*((t.seconds, t.cpu, t.rows / t.seconds, t.rss) for t in trials), strict=True)
        )
        figures = [_digits(seconds), _digits(cpu) if cpu else "", f"{rate:,.0f}", _memory(rss)]
        yield [record.name, way, *figures]


def _memory(rss: float) -> str:
    return f"{rss / 1e6:,.0f} MB" if rss else ""


def _cpu_share(goal: Goal, record: Record) -> str:
    """CPU-seconds a row as a share of the baseline's, where both were long enough to be counted."""
    names = [goal.ours, goal.baseline] if goal.baseline else []
    shares = [median(Quantity.CPU.of(trial) for trial in record.trials[name]) for name in names]
    return f"{shares[0] / shares[1]:.0%}" if shares and all(shares) else ""


def shown(goal: Goal, value: float) -> str:
    """A goal's value as people read it: three digits and the unit."""
    if goal.baseline:
        return f"{_digits(value)} x"
    match goal.quantity:
        case Quantity.RATE:
            return f"{value:,.0f} rows/s"
        case Quantity.SECONDS:
            return f"{_digits(value)} s" if value >= A_LONG_TIME else f"{_digits(value * 1000)} ms"
        case Quantity.CPU:
            return f"{_digits(value)} CPU-s"
        case Quantity.RSS:
            return f"{_digits(value)} MB"


def _digits(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"  # noqa: PLR2004 - digits


def _target(goal: Goal) -> str:
    if goal.at_least is not None:
        return f"≥ {shown(goal, goal.at_least)}"
    return f"≤ {shown(goal, goal.at_most)}" if goal.at_most is not None else ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
