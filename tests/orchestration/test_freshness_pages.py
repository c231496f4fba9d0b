"""Dagster's pages can show when a table becomes stale, at any speed of a simulated clock: tested with their query."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState  # not exported

from flows_platform.definitions import build_definitions
from flows_platform.domain.calendar import Calendar
from flows_platform.domain.cron import Cron
from flows_platform.domain.lag import Windows, lag_at
from flows_platform.domain.simulated_clock import SimulatedClock
from flows_platform.orchestration.automation.overdue import is_late
from flows_platform.orchestration.freshness import freshness_policy, freshness_state, whole_seconds
from flows_platform.settings import Settings
from flows_platform.sources.lanl_flows.windows import flows_windows
from tests.orchestration.pages_in_process import pages_of

MINUTE = timedelta(minutes=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
CRONS = ("0 */3 * * *", "30 * * * *", "0 0 * * *", "0 4 * * 1", "*/2 * * * *", "0 0 1 * *", "0 0 1 1 *")
SPEEDS = (*range(1, 721), 1.5, 333.3, 86_400)
POLICIES = """{assetNodes {
  assetKey {path}
  internalFreshnessPolicy {... on TimeWindowFreshnessPolicy {failWindowSeconds warnWindowSeconds}}
  freshnessStatusInfo {freshnessStatus}
}}"""


def specs() -> Iterator[dg.AssetSpec]:
    """One asset for every cron and speed."""
    table = flows_windows(Settings())
    for index, text in enumerate(CRONS):
        cron = Cron.parse(text)
        for speed in SPEEDS:
            simulated = replace(table, cron=cron, clock=SimulatedClock(START, speed))
            yield dg.AssetSpec(
                [str(index), f"at_{speed}".replace(".", "_")], freshness_policy=freshness_policy(simulated)
            )


@pytest.mark.slow
def test_every_speed_and_cron_has_windows_that_the_pages_can_show() -> None:
    with dg.DagsterInstance.local_temp() as instance, pages_of(dg.Definitions(assets=[*specs()]), instance) as pages:
        nodes = pages.ask(POLICIES)["assetNodes"]
    windows = {tuple(node["assetKey"]["path"]): node["internalFreshnessPolicy"] for node in nodes}
    assert len(windows) == len(CRONS) * len(SPEEDS)
    for told in windows.values():
        assert told["failWindowSeconds"] >= 60
        assert told["warnWindowSeconds"] is None or 60 <= told["warnWindowSeconds"] < told["failWindowSeconds"]
    assert windows["0", "at_7"] == {"failWindowSeconds": 3258, "warnWindowSeconds": 1715}  # 3257.14, 1714.29
    assert windows["0", "at_360"] == {"failWindowSeconds": 64, "warnWindowSeconds": 60}
    assert windows["3", "at_86400"] == {"failWindowSeconds": 60, "warnWindowSeconds": None}


@pytest.mark.parametrize("speed", [7, 360])
def test_the_pages_of_a_simulated_clock_have_no_error(speed: float) -> None:
    definitions = build_definitions(Settings(simulated_speed=speed, simulated_start=START, days=1))
    with dg.DagsterInstance.local_temp() as instance, pages_of(definitions, instance) as pages:
        nodes = pages.ask(POLICIES)["assetNodes"]
    (flows,) = (node for node in nodes if node["assetKey"]["path"] == ["flows"])
    assert flows["internalFreshnessPolicy"]["failWindowSeconds"] == -(-(6 * 60 + 20) * 60 // speed)


def test_a_window_of_freshness_is_never_shorter_than_it_should_be() -> None:
    assert whole_seconds(timedelta(seconds=61)) == timedelta(seconds=61)
    assert whole_seconds(timedelta(seconds=61, microseconds=1)) == timedelta(seconds=62)
    assert whole_seconds(timedelta(0)) == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "zone", "usual"),
    [
        ("*/15 * * * *", UTC, 40 * MINUTE),
        ("0 0 1 * *", UTC, 40 * MINUTE),
        ("0 0 1 * *", ZoneInfo("Europe/Berlin"), 100 * MINUTE),
        ("0 0 * * 0", ZoneInfo("Europe/Berlin"), 100 * MINUTE),
    ],
)
def test_no_window_is_late_before_its_tick_had_time_to_load_it(text: str, zone: tzinfo, usual: timedelta) -> None:
    cron = Cron.parse(text)
    start = datetime(2023, 1, 1, tzinfo=zone).astimezone(UTC)
    calendar = Calendar(cron.grid(start, zone), None, 20 * MINUTE)
    table = replace(flows_windows(Settings()), cron=cron, calendar=calendar, clock=None)
    for number in range(24):  # two years of months, over four changes of the clock
        missing = calendar.grid.nth(number)
        loaded = Windows(loaded=(1 << number) - 1)
        early = lag_at(calendar, missing.end + usual - MINUTE, loaded)
        assert early.oldest == missing
        assert not is_late(table, early)
        assert freshness_state(table, early) is FreshnessState.PASS
        assert is_late(table, lag_at(calendar, missing.end + usual, loaded))
    two_behind = lag_at(calendar, calendar.grid.nth(24).end + usual, Windows(loaded=(1 << 23) - 1))
    assert freshness_state(table, two_behind) is not FreshnessState.PASS
