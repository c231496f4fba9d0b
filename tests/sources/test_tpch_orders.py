"""Orders of TPC-H: generated once for a scale, served by month, and in the warehouse to the last cent."""

import json
from collections.abc import Iterator
from datetime import UTC
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import duckdb
import pytest

from api_server.config import ServerConfig
from api_server.orders.feature import ORDERS, OrdersFeature
from flows_platform.components.catalog import table_at
from flows_platform.components.source_files import SHIPPED
from flows_platform.domain.errors import SourceRefused, StorageError
from flows_platform.local import emulator as emulator_module
from flows_platform.local.emulator import Emulator
from flows_platform.orchestration.resources import build_resources
from flows_platform.settings import Settings, load_settings
from flows_platform.sources.loading import build_definitions
from flows_platform.sources.tpch_orders.generate import connected, generate
from flows_platform.sources.tpch_orders.layout import GENERATED, MONTHS, Generated, month_file, read_generated
from tests.api_server.conftest import Server, running

SCALE = 0.001  # 1,500 orders
COLUMNS = (
    "o_orderkey, o_custkey, o_orderstatus, o_totalprice, o_orderdate, o_orderpriority, o_clerk, o_shippriority, "
    "o_comment"
)
MARCH = "1995-03"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The orders as DuckDB's extension generates them."""
    with connected(tmp_path_factory.mktemp("raw") / "tpch.duckdb") as connection:
        connection.execute(f"CALL dbgen(sf = {SCALE})")
        yield connection


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("orders") / "files"
    assert generate(folder, SCALE) == Generated(SCALE, 1500)
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with running(ServerConfig(), [OrdersFeature(folder)]) as server:
        yield server


def document(folder: Path, month: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(month_file(folder, month).read_bytes())
    return found


def test_every_month_has_its_orders(folder: Path, raw: duckdb.DuckDBPyConnection) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [*(f"{month}.json" for month in MONTHS), GENERATED]
    sql = f"SELECT {COLUMNS} FROM orders WHERE strftime(o_orderdate, '%Y-%m') = ? ORDER BY o_orderdate, o_orderkey"
    for month in MONTHS:
        found = document(folder, month)
        assert (found["month"], found["count"]) == (month, len(found["orders"]))
        expected = raw.execute(sql, [month]).fetchall()
        texts = [(*row[:3], f"{row[3]:f}", f"{row[4]:%Y-%m-%d}", *row[5:]) for row in expected]
        assert [tuple(order.values()) for order in found["orders"]] == texts
    assert sum(document(folder, month)["count"] for month in MONTHS) == 1500


def test_files_of_a_scale_are_generated_once(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    done: list[tuple[int, int | None]] = []
    generate(folder, 0.001, lambda number, total: done.append((number, total)))
    assert done[-1] == (1500, 1500)
    month_file(folder, MARCH).write_text("kept")
    assert generate(folder, 0.001).orders == 1500
    assert month_file(folder, MARCH).read_text() == "kept"
    assert generate(folder, 0.002).orders == 3000
    assert document(folder, MARCH)["month"] == MARCH


def test_an_interrupted_generation_is_done_again(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    generate(folder, 0.001)

    def stop(_done: int, _total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(folder, 0.002, stop)
    assert read_generated(folder) == Generated(0.001, 1500)  # the files are those of before
    assert [*tmp_path.iterdir()] == [folder]
    assert generate(folder, 0.002).orders == 3000
    assert [*tmp_path.iterdir()] == [folder]


@pytest.mark.parametrize("text", ["", "[]", '{"scale": 1}', "{"])
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / GENERATED).write_text(text)
    assert read_generated(tmp_path) is None


def test_a_month_is_served_as_its_file(server: Server, folder: Path) -> None:
    response, body = server.get(ORDERS.format(month=MARCH))
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
    assert body == month_file(folder, MARCH).read_bytes()
    response, body = server.get(ORDERS.format(month=MARCH), "HEAD")
    assert (response.status, body) == (200, b"")


@pytest.mark.parametrize("month", ["1991-12", "generated", "..%2f..%2fsecret", "1995-3", "%EF%BC%91995-03"])
def test_other_names_are_not_found(server: Server, folder: Path, month: str) -> None:
    (folder.parent / "secret.json").write_text("{}")
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("GET", ORDERS.format(month=month))
    connection.endheaders()
    response = connection.getresponse()
    found = json.loads(response.read())
    assert (response.status, found["type"]) == (404, "/#not-found")
    connection.close()


def test_a_parameter_is_refused(server: Server) -> None:
    response, body = server.get(f"{ORDERS.format(month=MARCH)}?limit=1")
    assert (response.status, json.loads(body)["parameter"]) == (400, "limit")


def platform(server: Server, emulator: Emulator, home: Path) -> Settings:
    return load_settings(
        home=home,
        sources=("tpch_orders",),
        api_port=server.port,
        bigquery_dataset=f"orders_{uuid4().hex}",
        emulator_port=emulator.port,
        emulator_key_file=emulator.key_file,
        retry_attempts=1,
    )


@pytest.mark.slow
def test_windows_hold_the_orders_to_the_last_cent(
    server: Server, emulator: Emulator, tmp_path: Path, raw: duckdb.DuckDBPyConnection
) -> None:
    settings = platform(server, emulator, tmp_path / "home")
    table = table_at(SHIPPED["tpch_orders"], settings)
    keys = table.partitions.get_partition_keys()
    assert [key[:7] for key in keys] == [*MONTHS]
    with table.pipeline(*build_resources(settings)) as pipeline:
        pipeline.warehouse.ensure_table(table.table)
        for key in (keys[0], keys[38], keys[-1]):
            window = table.grid.from_key(key)
            fetched = pipeline.fetch(window)
            assert fetched.answers.level.label == "L2 count"
            pipeline.publish(window, "test")
            assert pipeline.counts(window).agree
        rows = pipeline.warehouse.select(f"SELECT {COLUMNS} FROM tpch_orders ORDER BY o_orderkey", (), "reading")
    sql = f"SELECT {COLUMNS} FROM orders WHERE strftime(o_orderdate, '%Y-%m') IN ('1992-01', ?, '1998-08') ORDER BY 1"
    expected = raw.execute(sql, [MARCH]).fetchall()
    assert expected
    found = [row.values() for row in rows]
    assert [(*row[:4], row[4].date(), *row[5:]) for row in found] == expected
    assert {row[4].astimezone(UTC).time().isoformat() for row in found} == {"00:00:00"}


def test_a_month_that_is_not_generated_fails_its_window(emulator: Emulator, tmp_path: Path) -> None:
    with running(ServerConfig(), [OrdersFeature(tmp_path / "none")]) as server:
        settings = platform(server, emulator, tmp_path / "home")
        table = table_at(SHIPPED["tpch_orders"], settings)
        with (
            table.fetching(build_resources(settings).fetch) as fetching,
            pytest.raises(SourceRefused, match="once they are generated"),
        ):
            fetching.fetch(table.grid.nth(0))


def test_dagster_generates_the_files(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, sources=("tpch_orders",), tpch_scale=0.001)
    definitions = build_definitions(settings)
    assets = {key.to_user_string() for asset in definitions.assets or () for key in getattr(asset, "keys", ())}
    assert assets >= {"raw_orders", "tpch_orders", "tpch_orders_windows"}
    (asset,) = (one for one in definitions.assets or () if dg.AssetKey("raw_orders") in getattr(one, "keys", ()))
    assert isinstance(asset, dg.AssetsDefinition)
    result = dg.materialize([asset])
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["orders"].value == 1500
    assert read_generated(settings.files.tpch_orders) == Generated(0.001, 1500)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "orders").write_text("a file")
    with pytest.raises(StorageError, match=r"the orders in .*/orders/files cannot be written"):
        generate(tmp_path / "orders" / "files", SCALE)


def test_a_missing_extension_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(emulator_module, "import_module", absent)
    with pytest.raises(Exception, match=r"duckdb_extension_tpch is not installed.*flows-platform\[emulator\]"):
        generate(tmp_path, SCALE)
