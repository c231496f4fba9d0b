"""The boundary around a window: which errors it takes, what it makes of them, and when a run ends."""

from datetime import UTC, datetime, timedelta

import pytest

from flows_platform.domain.errors import InputError, PlatformError, UnexpectedFailure
from flows_platform.domain.redaction import Redactor
from flows_platform.domain.windows import Window
from flows_platform.pipeline.attempt import Done, Failed, Stage, Streak, attempt

START = datetime(2014, 1, 1, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(hours=3))
CANARY = "canary+/7f3a"


def fail(error: BaseException) -> None:
    raise error


def attempted(error: BaseException, log: list[str]) -> PlatformError:
    outcome = attempt(WINDOW, Stage.FETCH, lambda: fail(error), log=log.append, redact=Redactor((CANARY,)))
    assert isinstance(outcome, Failed)
    assert outcome.window == WINDOW
    return outcome.error


def test_a_result_is_done() -> None:
    assert attempt(WINDOW, Stage.PUBLISH, lambda: 7, log=pytest.fail, redact=Redactor()) == Done(7)


def test_a_platform_error_is_the_failure_itself() -> None:
    error, log = InputError("a.parquet is empty."), list[str]()
    assert attempted(error, log) is error
    assert not log


def test_any_other_exception_is_unexpected_and_its_traceback_is_logged_without_secrets() -> None:
    log: list[str] = []
    failure = attempted(KeyError(CANARY), log)
    assert isinstance(failure, UnexpectedFailure)
    assert (failure.stage, failure.kind) == ("fetch", KeyError)
    assert str(failure).startswith("the fetch raised KeyError: '***'. Report it")
    (traceback,) = log
    assert traceback.startswith("Traceback (most recent call last)")
    assert "in fail" in traceback
    assert CANARY not in traceback


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit()])
def test_what_ends_a_process_passes(error: BaseException) -> None:
    with pytest.raises(type(error)):
        attempted(error, [])


def unexpected(kind: type[Exception], stage: Stage = Stage.FETCH) -> Failed:
    return Failed(WINDOW, UnexpectedFailure(stage, kind, ""))


@pytest.mark.parametrize("other", [Done(None), Failed(WINDOW, InputError("")), unexpected(ValueError)])
def test_three_alike_in_a_row_end_the_run(other: Done[None] | Failed) -> None:
    streak = Streak()
    for outcome in [unexpected(KeyError), unexpected(KeyError), other, unexpected(KeyError), unexpected(KeyError)]:
        streak.note(outcome)
        assert not streak.ends_the_run
    streak.note(unexpected(KeyError, Stage.PUBLISH))
    assert not streak.ends_the_run
    for _ in range(2):
        streak.note(unexpected(KeyError, Stage.PUBLISH))
    assert streak.ends_the_run
