"""Commands, settings and keys that were renamed: the old name works for one release, with one line that says so."""

import sys
from functools import cache

LAST = "0.3"  # the release that drops the old names


def notice(old: str, new: str) -> str:
    """The line that names the new name."""
    return f"{old} is now {new}; the old name ends with {LAST}"


@cache
def say_renamed(old: str, new: str) -> None:
    """Print the notice on standard error, once in a process. Dagster's processes have it in their logs."""
    print(notice(old, new), file=sys.stderr)  # noqa: T201 - for the person at the terminal
