"""A window file is read twice until its window is published: by the check that protects the table, and the upload."""

from contextlib import closing
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows_platform.domain.windows import Window
from flows_platform.pipeline.window_pipeline import WindowPipeline
from flows_platform.warehouse.replace_window import Published
from flows_platform.window_files.ledger import Withheld
from tests.end_to_end.conftest import Platform
from tests.opens import Opens

pytestmark = pytest.mark.slow

KEY = "2014-01-01-03:00"


def test_a_window_file_is_opened_twice_until_published(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    publish, opens_until_published = WindowPipeline.publish, []
    folder = platform.settings.files.windows / "flows"
    folder.mkdir(parents=True, exist_ok=True)
    with closing(Opens(folder)) as opens:

        def published(self: WindowPipeline, window: Window, run: str, **options: Any) -> Published | Withheld:
            result = publish(self, window, run, **options)
            opens_until_published.append(opens.of(self.path(window).name))
            return result

        monkeypatch.setattr(WindowPipeline, "publish", published)
        assert platform.run_windows(KEY).success
        assert opens_until_published == [2]
        before = opens.of("2014-01-01-0300.parquet")
        pq.read_metadata(folder / "2014-01-01-0300.parquet")  # Arrow's own opens are seen too
        assert opens.of("2014-01-01-0300.parquet") == before + 1
    assert "first_rows" in platform.metadata("flow_windows", KEY)
