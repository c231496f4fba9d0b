"""Problems of the database of flows: it cannot be read, or it is damaged."""

import logging
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from api_server.http.feature import Handler
from api_server.http.problems import Problem, respond, unavailable
from flows_platform.domain.errors import InputError
from flows_platform.flow_database.page_checksums import DamagedDatabase

KINDS = {
    "database-unavailable": "The database cannot be read now. The server's log has the reason.",
    "database-damaged": "The database holds other bytes than were loaded. The server's log says where; "
    "its operator loads it again.",
}

logger = logging.getLogger(__name__)


def on_input_error(request: Request, error: Exception) -> Response:
    """Handler of a database that cannot be read: its operator must act, a client may try again."""
    logger.error("%s %s: %s", request.method, request.url.path, error)
    return respond(request, unavailable("database-unavailable", "The database cannot be read"))


def on_damaged(request: Request, error: Exception) -> Response:
    """Handler of a database that holds other bytes than were loaded: trying again does not help."""
    logger.error("%s %s: %s", request.method, request.url.path, error)
    detail = "The database is damaged; the server's log says where."
    return respond(request, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "database-damaged", detail))


HANDLERS: dict[type[Exception], Handler] = {InputError: on_input_error, DamagedDatabase: on_damaged}
