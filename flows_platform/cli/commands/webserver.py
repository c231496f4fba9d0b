"""Dagster's webserver for its owner only: `python -m flows_platform.cli.commands.webserver`, with Dagster's flags.

A page that the owner visits elsewhere cannot act here, neither by its own name (421) nor from its own origin (403).
Other clients that reach the port have no key (401). Mutations are POSTed as JSON, which no form can send.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import dagster_webserver.app
from dagster_webserver.cli import main
from dagster_webserver.webserver import DagsterWebserver
from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from flows_platform.access.key import installation_key
from flows_platform.cli.commands.webserver_guard import GuardSettings, WebserverGuard
from flows_platform.settings import load_settings

JSON = "application/json"


class GuardedWebserver(DagsterWebserver):  # type: ignore[type-arg] # generic in contexts of Dagster's
    """Dagster's webserver behind a guard. It takes GraphQL that changes something only as POSTed JSON."""

    def build_middleware(self) -> list[Middleware]:
        settings = load_settings()
        guard = GuardSettings(installation_key(settings.files.dagster_key), settings.ui_hosts, self._app_path_prefix)
        return [Middleware(WebserverGuard, settings=guard), *super().build_middleware()]

    async def graphql_http_endpoint(self, request: Request) -> Response:
        # guard: GraphQL is POSTed as JSON
        if request.method == "POST" and media_type(request.headers.getlist("content-type")) != JSON:
            return PlainTextResponse(f"GraphQL is POSTed as {JSON}.", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        answer: Response = await super().graphql_http_endpoint(request)
        return answer

    async def execute_graphql_request(  # type: ignore[override] # another response than JSON, which its caller passes on
        self, request: Request, query: str, variables: dict[str, Any] | None, operation_name: str | None
    ) -> Response:
        # guard: no mutation comes by GET
        if request.method != "POST" and has_mutation(query):
            allow = {"Allow": "POST"}
            return PlainTextResponse("A mutation is POSTed.", HTTPStatus.METHOD_NOT_ALLOWED, allow)
        answer: Response = await super().execute_graphql_request(request, query, variables, operation_name)
        return answer


def media_type(values: Sequence[str]) -> str:
    """The only Content-Type without its parameters; empty if there are several or none."""
    return values[0].partition(";")[0].strip() if len(values) == 1 else ""


def has_mutation(query: str) -> bool:
    """Whether any operation of a document is a mutation. False for one that does not parse: it is not executed."""
    try:
        operations = parse(query).definitions
    except GraphQLError:
        return False
    return any(
        isinstance(node, OperationDefinitionNode) and node.operation is OperationType.MUTATION for node in operations
    )


if __name__ == "__main__":
    dagster_webserver.app.DagsterWebserver = GuardedWebserver  # type: ignore[attr-defined] # it offers no other way in
    main()  # type: ignore[no-untyped-call] # as Dagster leaves it
