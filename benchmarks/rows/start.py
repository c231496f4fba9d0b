"""What starting costs: loading the definitions, and the command line."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.commands import command
from benchmarks.contest import Contender, Goal, Quantity, Row
from benchmarks.environment import flows
from benchmarks.sizes import Sizes


@contextmanager
def start(_: Sizes) -> Iterator[Sequence[Contender]]:
    """Imports in fresh interpreters."""
    yield [
        command("import dagster", [sys.executable, "-c", "import dagster"], 1),
        command("definitions", [sys.executable, "-c", "import flows_platform.definitions"], 1),
        command("flows --help", flows("--help"), 1),
    ]


ROWS = (
    Row(
        "start",
        (
            Goal("definitions load", "definitions", "import dagster", quantity=Quantity.SECONDS, at_most=1.3),
            Goal("flows --help", "flows --help", "import dagster", quantity=Quantity.SECONDS, at_most=0.3),
        ),
        start,
        rounds=2,
    ),
)
