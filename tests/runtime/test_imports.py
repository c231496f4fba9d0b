"""What loading the definitions costs, in modules and in garbage collections."""

import gc
import json
import subprocess
import sys

import pytest

from flows_platform.runtime.imports import collector_paused

# Only runs or the server need these modules, which take from 20 to 300 ms.
LATER = {"PIL", "adbc_driver_manager", "duckdb", "google.cloud.bigquery", "jinja2", "numpy", "pandas", "psycopg"}
LATER |= {"pyarrow", "sqlalchemy", "uvicorn", "starlette"}
MEASURE = """
import gc, json, sys
import flows_platform.definitions
looks = sum(generation["collections"] for generation in gc.get_stats())
print(json.dumps([list(sys.modules), looks, gc.isenabled(), gc.get_freeze_count()]))
"""


def test_definitions_import_no_store_and_hardly_look_for_garbage() -> None:
    modules, looks, running, frozen = json.loads(subprocess.check_output([sys.executable, "-c", MEASURE]))
    assert not LATER & set(modules)
    assert looks < 20  # 105 with the collector on
    assert running
    assert frozen > 100_000


def test_the_collector_is_as_it_was_after_a_fault() -> None:
    for enabled in (True, False):
        try:
            (gc.enable if enabled else gc.disable)()
            with collector_paused():
                assert not gc.isenabled()
                raise KeyError  # noqa: TRY301 - the fault
        except KeyError:
            assert gc.isenabled() == enabled
        finally:
            gc.enable()
            gc.unfreeze()


WITHOUT = """
import sys
import {module}
import flows_platform.columns.batches
import pyarrow as pa
pa.array([1])
assert "pandas" not in sys.modules
import pandas
assert pa.table({{"number": [1, 2]}}).to_pandas()["number"].sum() == 3
assert all(type(finder).__module__ != "flows_platform.runtime.imports" for finder in sys.meta_path)
"""


@pytest.mark.parametrize(
    "module", ["pyarrow", "flows_platform.pipeline.window_pipeline", "flows_platform.warehouse.replace_window"]
)
def test_arrow_and_bigquery_bring_no_pandas_and_who_asks_gets_it(module: str) -> None:
    subprocess.run([sys.executable, "-c", WITHOUT.format(module=module)], check=True)
