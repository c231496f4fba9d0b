"""Reads requests for a report: its name, the format and form of the answer, and the parameters from query or body."""

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
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.encode import EXACT, USUAL, Form
from flows_platform.reports.values import ParameterType

FORMATS = tuple(WireFormat)
FORMAT = format_parameter(FORMATS)
NUMBERS = FlagParameter(
    "numbers",
    "`text` writes int64 and numeric values as strings, for clients that cannot hold all their digits.",
    "text",
)
SHAPE = FlagParameter("shape", "`rows` gives only the array of rows, without the envelope.", "rows")
# The parameters that change the form of an answer, and the formats in which they may be used.
FORMS: tuple[tuple[FlagParameter, Sequence[WireFormat], Callable[[Form], Form]], ...] = (
    (NUMBERS, (WireFormat.JSON, WireFormat.NDJSON), lambda form: replace(form, texts=EXACT)),
    (SHAPE, (WireFormat.JSON,), lambda form: replace(form, bare=True)),
)
# The form of the guide's server: its driver returns sums as decimals, which its JSON writes as strings.
ORIGINAL = Form(bare=True, texts=frozenset({ColumnType.NUMERIC}), capitals=True)
SHORT_DATE = re.compile("^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})$", re.ASCII)
BODY_BYTES = 64 * 1024


def named(name: str, reports: Mapping[str, ReportDeclaration]) -> ReportDeclaration:
    """The report with this name.

    Raises:
        Problem: 404, with the most similar names.
    """
    if name in reports:
        return reports[name]
    near = get_close_matches(name, reports, 3)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    detail = f"There is no report {brief(name)}.{meant}"
    raise Problem(HTTPStatus.NOT_FOUND, "not-found", detail, members={"allowed": near} if near else None)


def split(name: str) -> tuple[str, WireFormat | None]:
    """A name without the ending that names a format, and this format; None if it has no such ending."""
    stem, _, ending = name.rpartition(".")
    return (stem, WireFormat(ending)) if stem and ending in set(FORMATS) else (name, None)


class Shown(NamedTuple):
    """The format and form in which a request wants its answer."""

    wire_format: WireFormat
    form: Form


def of_query(
    request: Request, names: Sequence[str], ending: WireFormat | None, usual: Form = USUAL
) -> tuple[dict[str, str], Shown]:
    """The parameters in a query string, and the format and form of the answer.

    Args:
        request: The request.
        names: The parameters that it may give.
        ending: The format that the path's ending names, if it has one.
        usual: The form without parameters that change it.

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
    """As `of_query`, for a further path of a report; `names` are the parameters in the path.

    Raises:
        Problem: as `of_query`.
    """
    original = report.uses.original
    others = [one.name for one in report.parameters if one.name not in names]
    given, shown = of_query(request, others, None, ORIGINAL if original else USUAL)
    given |= {name: request.path_params[name] for name in names}
    return (_as_written_then(report, given) if original else given), shown


def _as_written_then(report: ReportDeclaration, given: Mapping[str, str]) -> dict[str, str]:
    """The parameters as the guide's server reads them: empty ones are ignored, dates need no leading zeros."""
    dates = {one.name for one in report.parameters if one.type is ParameterType.DATE}
    return {
        name: SHORT_DATE.sub(lambda found: f"{found[1]}-{found[2]:0>2}-{found[3]:0>2}", text) if name in dates else text
        for name, text in given.items()
        if text
    }


async def of_body(request: Request) -> tuple[dict[str, Any], Shown]:
    """The parameters in a JSON body, and the format and form of the answer from Accept and the query string.

    Raises:
        Problem: 413 if the body is too large, 415 if its type is not JSON, 400 if it is not an object; others as
            `BodyReader.body`.
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
