"""A person at Dagster's UI, on Debian's Chromium: backfills, repairs a failure, materialises, sees windows turn green.

The README's pictures are taken on the way; `make screenshots` puts them into docs/images.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from flows_platform.orchestration.checks import CHECKS
from tests.ui.chromium import WIDTH, Pictures, open_page
from tests.ui.pages import LOADED, Pages, enter, has_a_line
from tests.ui.platform_process import BAD, WINDOWED, RunningPlatform, running_platform

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

ROWS = 60_000
LAST = "2014-01-02-21:00"
PLOTTED = (
    *("dagster/partition_row_count", "deduplicated", "file_bytes", "received_bytes", "rejected"),
    *("rows", "rows_per_second", "seconds", "tries"),
)


@pytest.fixture(scope="module")
def platform(executable: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """Two days, 16 windows."""
    with running_platform(tmp_path_factory.mktemp("home"), rows=ROWS, days=2) as running:
        yield running


@pytest.fixture
def pages(executable: str, platform: RunningPlatform) -> Iterator[Pages]:
    with open_page(executable) as page:
        yield enter(page, platform.ui)


def test_windows_turn_green_by_clicks(pages: Pages, platform: RunningPlatform, pictures: Pictures) -> None:
    pages.open_group()
    pages.hide_navigation()
    with platform.obstacle():
        backfill_the_missing(pages)
    see_plots(pages, platform, pictures)
    see_one_window_failed(pages, platform)
    load_the_failed(pages, pictures)
    materialize_one_window(pages, LAST)
    see_all_windows_green(pages, platform, pictures)
    see_checks(pages)
    see_the_graph(pages, pictures)


def backfill_the_missing(pages: Pages) -> None:
    dialog = pages.materialize_dialog(WINDOWED)
    expect(dialog).to_contain_text("Launch runs to materialize 3 assets")
    dialog.get_by_role("button", name="Missing", exact=True).click()
    expect(dialog.get_by_text("16 partitions", exact=True)).to_be_visible()
    pages.launch(dialog, "Launch backfill", "Created backfill")
    pages.see_matching(r"Status\s+Failed", within=LOADED)
    for asset in WINDOWED:
        pages.see_matching(rf"{asset}\s+100% completed\s+16\s+0\s+15\s+1\b")


def see_plots(pages: Pages, platform: RunningPlatform, pictures: Pictures) -> None:
    """Here, where all that is plotted is one backfill's, side by side in time."""
    pages.page.set_viewport_size({"width": WIDTH, "height": 1180})
    pages.open_asset("flow_windows", "Overview")
    plots = pages.plots()
    for name in PLOTTED:
        pages.see(name)
        assert len(platform.dagster.series("flow_windows", name)) == 15
    expect(plots).to_have_count(len(PLOTTED))
    pages.page.get_by_text("tries", exact=True).scroll_into_view_if_needed()
    pictures.take(pages.page, "plots", clip=pages.plots_between("rejected", "tries"))
    assert all(has_a_line(plot) for plot in plots.all())


def see_one_window_failed(pages: Pages, platform: RunningPlatform) -> None:
    pages.open_asset("flows", "Partitions")
    for status in ("Failed (1)", "Materialized (15)", "Missing (0)"):
        pages.see(status)
    keys = platform.dagster.partitions("flows")
    pages.see_colours(pages.dots, dict.fromkeys(keys, "green") | {BAD: "red"})
    assert platform.dagster.keys("flows", "FAILED") == [BAD]
    pages.choose_partition(BAD)
    pages.see_matching(r"Run \w+ failed, and did not materialize this asset")
    pages.page.get_by_role("button", name="View logs").click()
    pages.see_matching(f"1 of 16 windows failed: {BAD}. The others are done.")


def load_the_failed(pages: Pages, pictures: Pictures) -> None:
    dialog = pages.materialize_dialog(WINDOWED)
    dialog.get_by_role("button", name="Failed and missing", exact=True).click()
    expect(dialog.get_by_text("1 partition", exact=True)).to_be_visible()
    expect(dialog.get_by_role("textbox")).to_have_value(BAD)
    pictures.take(pages.page, "failed-and-missing", shown=dialog)
    launch_one_run(pages, dialog)


def materialize_one_window(pages: Pages, key: str) -> None:
    dialog = pages.materialize_dialog(WINDOWED)
    keys = dialog.get_by_role("textbox")
    keys.fill(key)
    keys.press("Enter")
    expect(dialog.get_by_text("1 partition", exact=True)).to_be_visible()
    launch_one_run(pages, dialog)


def launch_one_run(pages: Pages, dialog: Locator) -> None:
    pages.launch(dialog, "Launch 1 run", "Launched run")
    pages.see("Success", within=LOADED)
    pages.see("3 assets")


def see_all_windows_green(pages: Pages, platform: RunningPlatform, pictures: Pictures) -> None:
    pages.open_asset("flows", "Partitions")
    for status in ("Failed (0)", "Materialized (16)", "Missing (0)"):
        pages.see(status)
    keys = platform.dagster.partitions("flows")
    pages.see_colours(pages.dots, dict.fromkeys(keys, "green"))
    assert set(keys.values()) == {"MATERIALIZED"}
    rows = dict(platform.dagster.series("flows", "rows"))
    assert sum(rows.values()) == ROWS
    pages.choose_partition(LAST)
    pages.see_matching(rf"rows_replaced\s+{rows[LAST]}\s")
    for chart in ("recent_rows_by_time", "recent_top_computers", "recent_protocol_mix"):
        expect(pages.page.get_by_role("row", name=chart).locator("img")).to_be_visible()
    pictures.take(pages.page, "windows")


def see_checks(pages: Pages) -> None:
    pages.open_asset("flows", "Checks")
    for check in CHECKS:
        pages.see_matching(rf"{check}\s+Succeeded")


def see_the_graph(pages: Pages, pictures: Pictures) -> None:
    pages.page.set_viewport_size({"width": WIDTH, "height": 520})
    pages.open_group()
    made = ("raw_flows", "clean_flows", "rejected_flows", "flows_database", "flow_windows", "flows")
    pages.see_colours(pages.frames, dict.fromkeys(made, "green"))
    pages.see("flows_api")
    pages.drag((600, 480), (575, 480))  # the last asset from under the controls
    pictures.take(pages.page, "asset-graph")
