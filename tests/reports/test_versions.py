"""Versions of tables: new with every change, and none while a change is under way or was left by a dead publisher."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows_platform.domain.errors import StorageError
from flows_platform.domain.windows import Window
from flows_platform.reports.spans import Span
from flows_platform.reports.versions import FORGOTTEN, Versions, VersionsFile
from flows_platform.settings import load_settings

DAY = datetime(2024, 1, 1, tzinfo=UTC)


def window(hour: int) -> Window:
    return Window(DAY + timedelta(hours=hour), DAY + timedelta(hours=hour + 1))


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2025, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


def test_every_change_gives_another_version(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "versions.json", Clock())
    server = VersionsFile(versions)
    assert server.state(["orders"]).version is None
    seen = set()
    for hour in (3, 1):
        with versions.changing("orders", window(hour)):
            assert server.state(["orders"]).version is None
        state = server.state(["orders"])
        seen.add(state.version)
        assert state.as_of == DAY + timedelta(hours=4)  # the newest window's end, also after an older one
        assert state.committed == datetime(2025, 1, 1, tzinfo=UTC)
    assert len(seen - {None}) == 2


def test_a_change_of_one_table_leaves_the_others(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "versions.json")
    versions.committed("orders", DAY)
    versions.committed("hosts", DAY + timedelta(days=1))
    server = VersionsFile(versions)
    orders, both = server.state(["orders"]), server.state(["orders", "hosts"])
    assert both.as_of == DAY  # the table that is furthest behind
    with versions.changing("hosts", window(1)):
        assert server.state(["orders"]) == orders
        assert server.state(["orders", "hosts"]).version is None
    assert server.state(["orders"]) == orders
    assert server.state(["orders", "hosts"]).version != both.version


def test_another_project_or_dataset_has_versions_of_its_own(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, bigquery_project="", bigquery_dataset="first")
    Versions(settings.versions).committed("orders", DAY)
    for changed in ({"bigquery_dataset": "second"}, {"bigquery_project": "elsewhere"}):
        other = Versions(settings.model_copy(update=changed).versions)
        assert VersionsFile(other).newest(["orders"]) is None
    assert VersionsFile(Versions(settings.versions)).newest(["orders"]) == DAY


def test_a_failed_change_may_have_changed_the_table(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "versions.json")
    versions.committed("orders", DAY)
    before = VersionsFile(versions).state(["orders"])
    with pytest.raises(RuntimeError), versions.changing("orders", window(48)):
        raise RuntimeError
    after = VersionsFile(versions).state(["orders"])
    assert after.version not in {None, before.version}
    assert after.as_of == before.as_of


def test_a_publisher_that_died_leaves_no_certain_version(tmp_path: Path) -> None:
    clock = Clock()
    versions = Versions(tmp_path / "versions.json", clock)
    versions.committed("orders", DAY)
    before = VersionsFile(versions).state(["orders"]).version
    died = versions.changing("orders", window(1))
    died.__enter__()  # and nothing after it
    assert VersionsFile(versions).state(["orders"]).version is None
    clock.at += FORGOTTEN
    assert VersionsFile(versions).state(["orders"]).version not in {None, before}
    clock.at -= FORGOTTEN
    with versions.changing("orders", window(2)):
        pass
    assert VersionsFile(versions).state(["orders"]).version is None  # another window was published, not that one
    with versions.changing("orders", window(1)):
        pass
    assert VersionsFile(versions).state(["orders"]).version is not None
    died.__exit__(None, None, None)


def span(first: int, last: int) -> Span:
    """Hours of the day."""
    start, end = DAY + timedelta(hours=first), DAY + timedelta(hours=last)
    return Span(start, end, end)


def test_a_window_counts_for_the_ranges_that_it_touches(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "versions.json", Clock())
    for hour in range(6):
        with versions.changing("orders", window(hour)):
            pass
    server = VersionsFile(versions)
    ranges = {(0, 2): "", (2, 4): "", (4, 6): "", (0, 6): "", (4, 9): ""}
    before = {bounds: server.state(["orders"], span(*bounds)) for bounds in ranges}
    assert before[0, 2].as_of == DAY + timedelta(hours=2)
    assert before[4, 9].as_of == DAY + timedelta(hours=6)
    with versions.changing("orders", window(2)):
        during = {bounds: server.state(["orders"], span(*bounds)) for bounds in ranges}
    after = {bounds: server.state(["orders"], span(*bounds)) for bounds in ranges}
    touched = {(2, 4), (0, 6)}
    assert {bounds for bounds in ranges if during[bounds].version is None} == touched
    assert {bounds for bounds in ranges if after[bounds] != before[bounds]} == touched
    with versions.changing("orders", window(6)):
        pass
    last = {bounds: server.state(["orders"], span(*bounds)) for bounds in ranges}
    assert {bounds for bounds in ranges if last[bounds] != after[bounds]} == {(4, 9)}
    assert server.state(["orders"]).as_of == DAY + timedelta(hours=7) == server.newest(["orders"])
    assert server.newest(["orders", "hosts"]) is None


def test_a_change_of_the_whole_table_counts_for_every_range(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "versions.json")
    with versions.changing("orders", window(0)):
        pass
    server = VersionsFile(versions)
    before = server.state(["orders"], span(4, 5)).version
    versions.committed("orders", DAY)
    assert server.state(["orders"], span(4, 5)).version not in {None, before}


def test_windows_that_have_versions_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows_platform.reports.versions.MOST", 8)
    versions = Versions(tmp_path / "versions.json")
    server = VersionsFile(versions)
    seen, far = set(), span(-10, -9)
    for hour in range(20):
        with versions.changing("orders", window(hour)):
            pass
        seen.add(server.state(["orders"], far).version)
        assert len(versions.read()["orders"].windows) <= 8
        assert server.state(["orders"], span(hour, hour + 1)).committed is not None
    assert len(seen) == 4  # of 9, 13 and 17 windows the oldest became a change of all
    assert server.state(["orders"]).as_of == DAY + timedelta(hours=20)


def test_publishers_take_turns(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "versions.json")

    def publish(hour: int) -> None:
        with versions.changing(f"table_{hour}", window(hour)):
            pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish, range(24)))
    held = versions.read()
    assert len(held) == 24
    assert all(table.version and not table.changing for table in held.values())


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "versions.json"
    file.write_text('{"orders": {"version": 1, "more": 2}}')
    with pytest.raises(StorageError, match=r"versions\.json cannot be read"):
        VersionsFile(Versions(file)).state(["orders"])
