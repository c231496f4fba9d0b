"""Which lines of the children reach the terminal."""

import pytest

from flows_platform.cli.commands.child_output import NotableLines

STAMP = "2026-01-01 12:00:00 +0000"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['emulator | INFO:     127.0.0.1:1 - "GET / HTTP/1.1" 200 OK'], []),
        ([f"code | {STAMP} - dagster - DEBUG - run - STEP_SUCCESS"], []),
        ([f"code | {STAMP} - dagster - ERROR - run failed"], [0]),
        (["api | Traceback (most recent call last):"], [0]),
        ([f"code | {STAMP} - dagster - ERROR - failed", "code | Traceback", 'code |   File "a.py"'], [0, 1, 2]),
        ([f"code | {STAMP} - dagster - INFO - several lines:", "code | the second"], []),
        ([f"code | {STAMP} - dagster - INFO - well", "api | Traceback"], [1]),
        ([f"code | {STAMP} - dagster - INFO - the word ERROR is here"], []),
        ([f"daemon | {STAMP} - x - WARNING - No cursor for event type RUN_FAILURE, ignoring older events"], []),
        ([f"daemon | {STAMP} - x.SensorDaemon - WARNING - Moving dangling STARTED tick 1 into SKIPPED"], []),
    ],
)
def test_warnings_errors_and_what_follows_them_pass(lines: list[str], expected: list[int]) -> None:
    passed: list[str] = []
    notable = NotableLines(passed.append)
    for line in lines:
        notable(line)
    assert passed == [lines[index] for index in expected]


def test_colours_do_not_hide_the_level() -> None:
    passed: list[str] = []
    NotableLines(passed.append)(f"ui | \x1b[32m{STAMP}\x1b[0m - ui - \x1b[34mWARNING\x1b[0m - slow")
    assert passed == [f"ui | {STAMP} - ui - WARNING - slow"]
