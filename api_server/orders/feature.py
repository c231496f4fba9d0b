"""TPC-H's orders as a feature of the server, which serves the generated file of every month."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from api_server.http.feature import Description, Endpoint, Feature, PageSections
from api_server.http.openapi_parts import (
    ANY_OBJECT,
    NUMBER,
    TEXT,
    Node,
    array_of,
    content,
    failures,
    object_schema,
    path_parameter,
    problem,
    read_path,
)
from api_server.http.parameters import refuse_parameters
from api_server.http.problems import Problem
from api_server.http.tokens import Scope
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.tpch_orders.layout import FIRST, LAST, month_file

ORDERS = "/api/v1/tpch/orders/{month}.json"
MONTH = re.compile("[0-9]{4}-[0-9]{2}", re.ASCII)


class OrdersFeature(Feature):
    """Serves orders by month, from files that may not have been generated yet.

    Args:
        folder: The folder of the files.
    """

    source = "orders of TPC-H"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def description(self) -> Description:
        return Description(
            title="TPC-H orders API",
            text="Orders of the benchmark TPC-H, by month.",
            paths={ORDERS: _path()},
            scopes={ORDERS: Scope.REPORTS_READ},
            schemas={},
            protected=(("the orders of TPC-H", Scope.REPORTS_READ),),
        )

    def endpoints(self) -> Mapping[str, Endpoint]:
        async def orders(request: Request) -> Response:
            refuse_parameters(request.scope["query_string"])
            return self._file(request.path_params["month"])

        return {ORDERS: orders}

    async def page(self, base: str, *, shows_data: bool) -> PageSections:
        del base, shows_data
        return PageSections()

    def _file(self, month: str) -> Response:
        path = month_file(self._folder, month)
        # guard: the month of a path is a month
        if not MONTH.fullmatch(month) or not path.is_file():
            detail = (
                f"There is no file of that month. Months are {FIRST:%Y-%m} to {LAST:%Y-%m}, once they are generated."
            )
            raise Problem(HTTPStatus.NOT_FOUND, "not-found", detail)
        return FileResponse(path, media_type=WireFormat.JSON.content_type)


def _path() -> Node:
    month = path_parameter("month", {**TEXT, "pattern": MONTH.pattern})
    body = object_schema({"month": TEXT, "orders": array_of(ANY_OBJECT), "count": NUMBER})
    responses = {
        "200": {"description": "The orders.", "content": content(WireFormat.JSON.content_type, body)},
        "400": problem("A parameter is given."),
        "404": problem("There is no file of that month."),
        **failures(),
    }
    return read_path("tpch_orders", "The orders of a month.", [month], responses)
