"""A proxy of the environment is not asked for the platform's own servers."""

from pathlib import Path

import pytest

from flows_platform.local.own_servers import asked
from flows_platform.warehouse.warehouse import emulator_client
from tests.fakes.small_server import SmallServer, document


@pytest.fixture(autouse=True)
def a_proxy_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)


def test_a_process_asks_its_own_servers_directly() -> None:
    with SmallServer(lambda _: document({})) as server, asked(f"{server.origin}/server_info", timeout=60) as answer:
        assert answer.status == 200


def test_the_warehouse_asks_the_emulator_directly(tmp_path: Path) -> None:
    with (
        SmallServer(lambda _: document({"datasets": []})) as server,
        emulator_client(server.origin, "local", "US", tmp_path / "emulator.key") as client,
    ):
        assert list(client.list_datasets()) == []
    assert [asked.path for asked in server.requests] == ["/bigquery/v2/projects/local/datasets"]
