"""A run fetches the next window while it publishes one, and a run that is stopped does not go on fetching."""

import threading
import time
from typing import Any

import pytest

from flows_platform.domain.progress import Progress
from flows_platform.domain.windows import Window
from flows_platform.orchestration.run import RunLeft
from flows_platform.pipeline.fetch_window import FetchedWindow
from flows_platform.pipeline.window_pipeline import WindowPipeline
from flows_platform.sources.lanl_flows.windows import flows_windows
from flows_platform.warehouse.replace_window import Published
from flows_platform.window_files.ledger import Withheld
from tests.conditions import eventually
from tests.end_to_end.conftest import Platform

pytestmark = pytest.mark.slow

SECONDS = 60.0  # for what would never happen


def test_the_next_window_is_fetched_while_one_is_published(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    publish, keys, ahead = WindowPipeline.publish, platform.keys[:4], []
    platform.change_database("DELETE FROM flows WHERE time >= 4 * 10800")

    def published(self: WindowPipeline, window: Window, run: str, **options: Any) -> Published | Withheld:
        place = keys.index(window.key) + 1
        if place < len(keys):
            following = self.path(flows_windows(platform.settings).grid.from_key(keys[place]))
            ahead.append(eventually(following.exists, SECONDS))
        return publish(self, window, run, **options)

    monkeypatch.setattr(WindowPipeline, "publish", published)
    assert platform.run_windows(keys[0], keys[-1]).success
    assert ahead == [True] * (len(keys) - 1)
    assert platform.table_digest() == platform.database_digest()


def test_a_stopped_run_does_not_wait_for_the_window_being_fetched(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, under_way, given_up = WindowPipeline.fetch, threading.Event(), threading.Event()

    def fetched(self: WindowPipeline, window: Window, progress: Progress) -> FetchedWindow:
        if window.key == platform.keys[0]:
            return fetch(self, window, progress)
        under_way.set()
        patience = time.monotonic() + SECONDS
        try:
            while time.monotonic() < patience:  # as a stream that has no end
                progress(1, None)
                time.sleep(0.01)
        except RunLeft:
            given_up.set()
            raise
        return fetch(self, window, progress)

    def stopped(_self: WindowPipeline, _window: Window, _run: str, **_options: Any) -> Published:
        assert under_way.wait(SECONDS)
        raise KeyboardInterrupt

    monkeypatch.setattr(WindowPipeline, "fetch", fetched)
    monkeypatch.setattr(WindowPipeline, "publish", stopped)
    assert not platform.run_windows().success
    assert given_up.is_set()  # the run waited for that, and no longer
