"""An unexpected exception fails its window; the other windows of the run are loaded, unless all fail alike."""

import re
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from flows_platform.domain.progress import Progress
from flows_platform.domain.windows import Window
from flows_platform.orchestration.under_way import UnderWay
from flows_platform.pipeline.fetch_window import FetchedWindow
from flows_platform.pipeline.window_pipeline import WindowPipeline
from tests.end_to_end.conftest import Platform

pytestmark = pytest.mark.slow

CANARY = "canary+/7f3a"
WORDS = (
    "MemoryError: without",
    "RecursionError: maximum",
    r"Overflow: \[",
    "UnicodeDecodeError: 'utf-8'",
    "KeyError: '\\*",
)


def _deep() -> None:
    _deep()


def _fail(number: int) -> None:
    match number:
        case 0:
            raise MemoryError
        case 1:
            _deep()
        case 2:
            Decimal("1e999999999999999999") * 1
        case 3:
            b"\xff".decode()
        case 4:
            raise KeyError(CANARY)


def test_each_window_fails_alone(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(
        dg.DagsterLogManager, "error", lambda _, text, *values: logged.append(text % values if values else text)
    )
    fetch, keys = WindowPipeline.fetch, platform.keys[:6]

    def fetched(self: WindowPipeline, window: Window, progress: Progress) -> FetchedWindow:
        _fail(keys.index(window.key))
        return fetch(self, window, progress)

    monkeypatch.setenv("FLOWS_API_TOKEN", CANARY)
    monkeypatch.setattr(WindowPipeline, "fetch", fetched)
    run = platform.run_windows(keys[0], keys[-1])
    assert not run.success
    assert platform.instance.get_materialized_partitions(dg.AssetKey("flows")) == {keys[5]}
    assert platform.table_digest() == platform.table_digest(keys[5])
    said = "\n".join([*map(str, platform.instance.all_logs(run.run_id)), *logged])
    assert f"5 of 6 windows failed: {', '.join(keys[:5])}. The others are done." in said
    for key, words in zip(keys, WORDS, strict=False):
        assert re.search(f"window {key} failed: the fetch raised {words}", said), words
    assert len([text for text in logged if text.startswith("Traceback (most recent call last)")]) == len(WORDS)
    assert CANARY not in said


def test_three_windows_that_fail_alike_end_the_run(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch, keys, tried = WindowPipeline.fetch, platform.keys, []

    def fetched(self: WindowPipeline, window: Window, progress: Progress) -> FetchedWindow:
        tried.append(window.key)
        if len(tried) > 1:
            raise TypeError(window.key)
        return fetch(self, window, progress)

    monkeypatch.setattr(WindowPipeline, "fetch", fetched)
    run = platform.run_windows()
    assert not run.success
    assert platform.instance.get_materialized_partitions(dg.AssetKey("flows")) == {keys[0]}
    assert len(tried) <= 5  # one more may have been fetched ahead
    said = str([*platform.instance.all_logs(run.run_id)])
    assert f"3 of {len(keys)} windows failed: {', '.join(keys[1:4])}. The last 3 failed alike" in said
    assert f"the run ended: {len(keys) - 4} windows were not tried" in said


def test_a_window_whose_process_dies_is_taken_last_and_then_fails_alone(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, keys, fetched = WindowPipeline.fetch, platform.keys[:3], []

    def noted(self: WindowPipeline, window: Window, progress: Progress) -> FetchedWindow:
        fetched.append(window.key)
        return fetch(self, window, progress)

    monkeypatch.setattr(WindowPipeline, "fetch", noted)
    marks = UnderWay(platform.settings.files.locks / "flows.under_way")
    for number in (signal.SIGSEGV, signal.SIGKILL):
        _die(marks.folder, keys[0], number)
    _die(marks.folder, keys[1], signal.SIGSEGV)
    assert [marks.deaths(key) for key in keys] == [2, 1, 0]
    run = platform.run_windows(keys[0], keys[-1])
    assert not run.success
    assert fetched == [keys[2], keys[1]]
    assert platform.instance.get_materialized_partitions(dg.AssetKey("flows")) == set(keys[1:])
    assert f"the process that fetched the window {keys[0]} died 2 times" in str(
        [*platform.instance.all_logs(run.run_id)]
    )
    assert [marks.deaths(key) for key in keys] == [0, 0, 0]
    assert platform.run_windows(keys[0]).success


def _die(folder: Path, key: str, number: int) -> None:
    """A process that a signal ends within the window."""
    code = (
        "import os, pathlib, sys; from flows_platform.orchestration.under_way import UnderWay\n"
        "with UnderWay(pathlib.Path(sys.argv[1])).mark(sys.argv[2]): os.kill(os.getpid(), int(sys.argv[3]))"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(folder), key, str(int(number))], check=False)
    assert ended.returncode == -number
