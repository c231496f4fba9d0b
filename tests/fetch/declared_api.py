"""An API as a YAML declares it, and its rows of one window."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import yaml

from flows_platform.components.catalog import table_at
from flows_platform.components.loader import TABLE
from flows_platform.domain.windows import Window
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.fetch_plan import FetchPlan
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.trace import Trace
from flows_platform.fetch.window_stream import WindowStream
from flows_platform.settings import Settings

DAY = Window(datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 2, tzinfo=UTC))
RECORDS = [{"id": number, "at": f"2024-03-01T0{number}:00:00Z"} for number in range(5)]
IDS = [record["id"] for record in RECORDS]


def declared(folder: Path, url: str | None, **api: object) -> WindowedApi:
    """The API with these keys; the secrets that it names are read from the environment. A job has no `url`."""
    usual: Mapping[str, object] = {
        "format": "json",
        "records": "data",
        "time": {"after": "from", "before": "to", "before_inclusive": False},
    }
    attributes = {
        "name": "things",
        "api": {**({"url": url} if url else {}), **usual, **api},
        "columns": [
            {"name": "id", "type": "int64", "required": True},
            {"name": "at", "type": "timestamp", "required": True},
        ],
        "time": "at",
        "key": "id",
        "partitions": {"cron": "0 0 * * *", "start": "2024-03-01T00:00:00"},
    }
    return api_of(folder, attributes)


def api_of(folder: Path, attributes: Mapping[str, object]) -> WindowedApi:
    """The API of a source with these keys."""
    path = folder / "defs.yaml"
    path.write_text(yaml.safe_dump({"type": TABLE.component, "attributes": dict(attributes)}, sort_keys=False))
    return table_at(path, Settings()).api()


def ids(client: HttpClient, api: WindowedApi, *, window: Window = DAY, trace: Trace | None = None) -> list[int]:
    """The ids of the window's rows, in the order they came."""
    stream = WindowStream(FetchPlan(client, api, window, trace=trace or Trace()))
    return [row["id"] for casted in stream for row in casted.batch.to_pylist()]
