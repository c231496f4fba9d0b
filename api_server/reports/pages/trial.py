"""The page at `/test` with two forms: the top customers in a range of days, and a clerk's sales by month.

It shows the API's answers at the paths that the forms lead to. Input and answers are shown as plain text.
"""

import json
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from api_server.http.pages import page
from api_server.http.parameters import fields
from api_server.http.subrequest import SubResponse, ask

FAMILIES = ("connector", "snowpark")
# The page is served if reports have these paths.
PATHS = frozenset(
    f"/{family}/{rest}" for family in FAMILIES for rest in ("customers/top10", "clerk/{clerk}/yearly_sales/{year}")
)
CLERK = "clerk"
NAMES = ("form", "family", "start_range", "end_range", "clerk", "year")
SHOWN = 100_000  # most characters of an answer


class Shown(NamedTuple):
    """An answer as the page shows it.

    Args:
        target: Its path and query.
        status: Its status.
        text: The beginning of its text.
        length: Number of characters of the whole text.
    """

    target: str
    status: str
    text: str
    length: int


async def trial(request: Request) -> Response:
    """The page, with the answer to the form that was sent, if any."""
    given = fields(request.scope["query_string"], NAMES)
    target = _target(given)
    found = await ask(request, target) if target else None
    problem = found.problem if found else None
    if problem and problem.status is HTTPStatus.UNAUTHORIZED:
        raise problem
    shown = _shown(target, found) if found else None
    return page(
        request,
        "trial.html",
        title="Try the sales routes",
        families=FAMILIES,
        given={name: given.get(name, "") for name in NAMES},
        shown=shown,
    )


def _target(given: dict[str, str]) -> str:
    """The path and query that a form leads to; empty if no form was sent."""
    family = given.get("family", "")
    if family not in FAMILIES:
        return ""
    if given.get("form") == CLERK:
        clerk, year = (quote(given.get(name, "").strip(), safe="") for name in ("clerk", "year"))
        return f"/{family}/clerk/{clerk}/yearly_sales/{year}"
    sent = {name: given[name] for name in ("start_range", "end_range") if given.get(name)}
    query = f"?{urlencode(sent)}" if sent else ""
    return f"/{family}/customers/top10{query}"


def _shown(target: str, found: SubResponse) -> Shown:
    """An answer as it came; a problem is indented."""
    text = json.dumps(json.loads(found.body), indent=2) if found.problem else found.body.decode()
    return Shown(target, f"{found.status.value} {found.status.phrase}", text[:SHOWN], len(text))
