"""A publication gives the table another version, and while it runs there is none."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from flows_platform.domain.schema import WarehouseTable
from flows_platform.domain.windows import Window
from flows_platform.fetch.http.client import HttpClient
from flows_platform.pipeline.window_pipeline import WindowPipeline
from flows_platform.reports.versions import DataState, Versions, VersionsFile
from flows_platform.warehouse.replace_window import Publication, Published
from flows_platform.warehouse.warehouse import Warehouse
from tests.fakes.small_server import SmallServer, document
from tests.fetch.declared_api import DAY, api_of

COLUMNS = [
    {"name": "id", "type": "int64", "required": True},
    {"name": "at", "type": "timestamp", "from": "window_start", "required": True},
]


class OneWindow:
    """A warehouse that does something while it replaces a window."""

    def __init__(self, during: Callable[[], None]) -> None:
        self._during = during

    def count(self, _table: WarehouseTable, _window: Window) -> int:
        return 0

    def replace_window(self, publication: Publication) -> Published:
        self._during()
        return Published(publication.file.rows, 0, "load", "merge")


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with SmallServer(lambda _: document({"data": [{"id": 1}]})) as server:
        yield server


def source(url: str) -> dict[str, Any]:
    time = {"after": "from", "before": "to", "before_inclusive": False}
    return {
        "name": "things",
        "api": {"url": url, "format": "json", "records": "data", "time": time},
        "columns": COLUMNS,
        "time": "at",
        "key": "id",
        "partitions": {"cron": "0 0 * * *", "start": "2024-03-01T00:00:00"},
    }


def test_a_publication_gives_another_version(client: HttpClient, server: SmallServer, tmp_path: Path) -> None:
    versions = Versions(tmp_path / "versions.json")
    seen: list[DataState] = []
    fails = False

    def during() -> None:
        seen.append(VersionsFile(versions).state(["things"]))
        if fails:
            raise RuntimeError

    api = api_of(tmp_path, source(server.origin))
    windows = WindowPipeline(
        api=api,
        client=client,
        folder=tmp_path,
        table=WarehouseTable(api.schema, ()),
        warehouse=cast("Warehouse", OneWindow(during)),
        versions=versions,
    )
    windows.fetch(DAY)
    windows.publish(DAY, "run")
    first = VersionsFile(versions).state(["things"])
    windows.publish(DAY, "run 2")
    second = VersionsFile(versions).state(["things"])
    fails = True
    with pytest.raises(RuntimeError):
        windows.publish(DAY, "run 3")
    third = VersionsFile(versions).state(["things"])
    assert [state.version for state in seen] == [None] * 3
    assert len({first.version, second.version, third.version} - {None}) == 3
    assert first.as_of == DAY.end
