"""Commands, settings and keys that were renamed: an old name works for one release, and prints a notice."""

import sys
from functools import cache

LAST = "0.3"  # the release that drops the old names


def notice(old: str, new: str) -> str:
    """The line that gives the new name."""
    return f"{old} is now {new}; the old name ends with {LAST}"


@cache
def say_renamed(old: str, new: str) -> None:
    """Print the notice on standard error, once per process. Dagster's processes have it in their logs."""
    print(notice(old, new), file=sys.stderr)  # noqa: T201 - for the person at the terminal
