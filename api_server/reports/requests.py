"""What a request for a report asks: its name and format, and its parameters from the query string or a JSON body."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any

from starlette.requests import Request

from api_server.http.negotiation import choose_format, header_list
from api_server.http.parameters import brief, fields, format_parameter
from api_server.http.problems import Problem
from api_server.http.shared import shared_of
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.reports.declaration import ReportDeclaration

FORMATS = tuple(WireFormat)
FORMAT = format_parameter(FORMATS)
BODY_BYTES = 64 * 1024


def named(name: str, reports: Mapping[str, ReportDeclaration]) -> ReportDeclaration:
    """The report of that name.

    Raises:
        Problem: 404, with the names that are nearest.
    """
    if name in reports:
        return reports[name]
    near = get_close_matches(name, reports, 3)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    detail = f"There is no report {brief(name)}.{meant}"
    raise Problem(HTTPStatus.NOT_FOUND, "not-found", detail, members={"allowed": near} if near else None)


def split(name: str) -> tuple[str, WireFormat | None]:
    """The report's name and the format that its ending names."""
    stem, _, ending = name.rpartition(".")
    return (stem, WireFormat(ending)) if stem and ending in set(FORMATS) else (name, None)


def of_query(request: Request, names: Sequence[str], ending: WireFormat | None) -> tuple[dict[str, str], WireFormat]:
    """The parameters and the format of a request without a body.

    Raises:
        Problem: a parameter is unknown or repeated, or no format fits.
    """
    own = () if ending else (FORMAT.name,)
    given = fields(request.scope["query_string"], [*names, *own])
    text = given.pop(FORMAT.name, None) if own else None
    return given, ending or (FORMAT.parse(text) if text is not None else _accepted(request))


async def of_body(request: Request) -> tuple[dict[str, Any], WireFormat]:
    """The parameters of a JSON body, and the format that Accept or the query string names.

    Raises:
        Problem: 413 where it is too long, 415 where it is not JSON by its type, 400 where it is not an object; others
            as `BodyReader` raises them.
    """
    _, wire_format = of_query(request, (), None)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "invalid-body", "The body's type must be application/json.")
    async with shared_of(request).bodies.body(request, BODY_BYTES) as body:
        return _object(body), wire_format


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body, parse_float=Decimal, parse_constant=str, object_pairs_hook=_once)
    except (ValueError, RecursionError, ArithmeticError):
        found = None
    if not isinstance(found, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "invalid-body", "The body is not a JSON object with distinct names.")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    # guard: names of a body come once
    if len(found) < len(pairs):
        raise ValueError("a name is repeated")
    return found


def _accepted(request: Request) -> WireFormat:
    return choose_format(header_list(request.headers, "accept"), FORMATS)
