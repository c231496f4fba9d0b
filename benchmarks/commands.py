"""Contenders that are commands: run to their end, measured as a whole, with a file as output."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.contest import Contender, Trial
from benchmarks.processes import run


def command(
    name: str,
    argv: Sequence[str],
    rows: int,
    *,
    result: Callable[[], str] | None = None,
    group: str = "",
    settings: Mapping[str, str] = {},
    replaces: Path | None = None,
) -> Contender:
    """A command that moves `rows` rows; `replaces` is removed before a run, where the command would add to it."""

    def trial() -> Trial:
        if replaces:
            replaces.unlink(missing_ok=True)
        usage = run(argv, settings=settings)
        return Trial(rows, usage.seconds, usage.cpu, usage.rss)

    return Contender(name, trial, result, group)
