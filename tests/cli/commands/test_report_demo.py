"""What `flows report demo` refuses."""

from types import SimpleNamespace
from typing import Any

import pytest

from flows_platform.cli.commands import report_demo
from flows_platform.domain.errors import ProcessFailed


def test_a_table_that_lacks_orders_is_an_error() -> None:
    pipeline: Any = SimpleNamespace(
        warehouse=SimpleNamespace(count=lambda _: 14_999), table=SimpleNamespace(name="tpch_orders")
    )
    with pytest.raises(ProcessFailed, match="holds 14,999 orders, and 15,000 were generated"):
        report_demo.require_all(pipeline, 15_000)
    report_demo.require_all(pipeline, 14_999)
