"""Selects the lines of the children's output that are shown at the terminal; their log files have all lines."""

import re
from collections.abc import Callable

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LEVEL = re.compile(r"\b(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")
LEVEL_WITHIN = 80  # characters: time, logger and level come before the message
QUIET = {"DEBUG", "INFO"}
# Warnings that need no action: every first start of an instance logs the first, and a start after a stop during a
# sensor's evaluation the second.
EXPECTED = ("No cursor for event type", "Moving dangling STARTED tick")


class NotableLines:
    """A sink that passes on warnings and errors, and the lines without a level that follow them (tracebacks)."""

    def __init__(self, sink: Callable[[str], None]) -> None:
        self._sink = sink
        self._passing: dict[str, bool] = {}

    def __call__(self, line: str) -> None:
        """Take a line `name | text`, as the supervisor gives it."""
        plain = COLOUR.sub("", line)
        name, _, text = plain.partition(" | ")
        level = LEVEL.search(text[:LEVEL_WITHIN])
        if level:
            self._passing[name] = level[1] not in QUIET and not any(warning in text for warning in EXPECTED)
        if self._passing.get(name, True):
            self._sink(plain)
