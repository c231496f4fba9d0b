"""What a request for a report asks: its name and format, and its parameters from the query string or a JSON body."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any, NamedTuple

from starlette.requests import Request

from api_server.http.negotiation import choose_format, header_list
from api_server.http.parameters import FlagParameter, brief, fields, format_parameter
from api_server.http.problems import Problem, invalid_parameter
from api_server.http.shared import shared_of
from flows_platform.domain.schema import ColumnType
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.reports.bodies import EXACT, USUAL, Form
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.values import ParameterType

FORMATS = tuple(WireFormat)
FORMAT = format_parameter(FORMATS)
NUMBERS = FlagParameter(
    "numbers", "`text` writes int64 and numeric values as texts: their digits are more than some clients keep.", "text"
)
SHAPE = FlagParameter("shape", "`rows` gives the array of rows alone.", "rows")
# The parameters that change an answer's form, and the formats that they are for.
FORMS: tuple[tuple[FlagParameter, Sequence[WireFormat], Callable[[Form], Form]], ...] = (
    (NUMBERS, (WireFormat.JSON, WireFormat.NDJSON), lambda form: replace(form, texts=EXACT)),
    (SHAPE, (WireFormat.JSON,), lambda form: replace(form, bare=True)),
)
# How the server of the guide answers: its driver gives sums as decimals, which its JSON writes as texts.
ORIGINAL = Form(bare=True, texts=frozenset({ColumnType.NUMERIC}), capitals=True)
SHORT_DATE = re.compile("^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})$", re.ASCII)
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


class Shown(NamedTuple):
    """How a request asks for its answer."""

    wire_format: WireFormat
    form: Form


def of_query(
    request: Request, names: Sequence[str], ending: WireFormat | None, usual: Form = USUAL
) -> tuple[dict[str, str], Shown]:
    """The parameters of a request without a body, and how it asks for the answer.

    Raises:
        Problem: a parameter is unknown or repeated, or no format fits.
    """
    own = (NUMBERS.name, SHAPE.name, *(() if ending else (FORMAT.name,)))
    given = fields(request.scope["query_string"], [*names, *own])
    text = given.pop(FORMAT.name, None) if not ending else None
    wire_format = ending or (FORMAT.parse(text) if text is not None else _accepted(request))
    form = usual
    for flag, formats, change in FORMS:
        if (word := given.pop(flag.name, None)) is not None and flag.parse(word):
            if wire_format not in formats:
                detail = f"{flag.name} is for {' and '.join(formats)}; the answer is {wire_format}."
                raise invalid_parameter(flag.name, detail, "left out")
            form = change(form)
    return given, Shown(wire_format, form)


def of_path(request: Request, report: ReportDeclaration, names: Sequence[str]) -> tuple[dict[str, str], Shown]:
    """As `of_query`, for a further path of a report that gives the parameters `names`.

    Raises:
        Problem: as for `of_query`.
    """
    original = report.uses.original
    others = [one.name for one in report.parameters if one.name not in names]
    given, shown = of_query(request, others, None, ORIGINAL if original else USUAL)
    given |= {name: request.path_params[name] for name in names}
    return (_as_written_then(report, given) if original else given), shown


def _as_written_then(report: ReportDeclaration, given: Mapping[str, str]) -> dict[str, str]:
    """The parameters as the guide's server reads them: an empty one is left out, a date needs no leading zeros."""
    dates = {one.name for one in report.parameters if one.type is ParameterType.DATE}
    return {
        name: SHORT_DATE.sub(lambda found: f"{found[1]}-{found[2]:0>2}-{found[3]:0>2}", text) if name in dates else text
        for name, text in given.items()
        if text
    }


async def of_body(request: Request) -> tuple[dict[str, Any], Shown]:
    """The parameters of a JSON body, and how Accept and the query string ask for the answer.

    Raises:
        Problem: 413 where it is too long, 415 where it is not JSON by its type, 400 where it is not an object; others
            as `BodyReader` raises them.
    """
    _, shown = of_query(request, (), None)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "invalid-body", "The body's type must be application/json.")
    async with shared_of(request).bodies.body(request, BODY_BYTES) as body:
        return _object(body), shown


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
