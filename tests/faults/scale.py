"""How many faults a run injects: all of them by `make test-faults`, a seeded share otherwise."""

import os


def scaled(full: int, ci: int) -> int:
    """`full` where FLOWS_TEST_FAULTS=full, else `ci`."""
    return full if os.environ.get("FLOWS_TEST_FAULTS") == "full" else ci
