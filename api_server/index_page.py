"""The page at `/`: what is here, with links and commands that work against the data held now."""

from functools import cache
from html import escape
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api_server.flows.database import Snapshot
from api_server.flows.parameters import AFTER, BEFORE, IntegerParameter, Parameter, refuse_parameters, stream_parameters
from api_server.flows.selection import EVERYTHING, newest
from api_server.http import paths
from api_server.http.problems import KINDS
from api_server.http.tokens import Scope
from api_server.state import ServerState, state_of
from flows_platform.domain.schema import TableSchema
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.nvd_cves.schema import NOTICE

# The window of the examples; the pipeline asks for three hours at a time.
EXAMPLE_SECONDS = 3 * 3600
# The page brings its style with it and loads nothing.
OPEN = "Whoever reaches this address may ask; no token is needed."
CLOSED = (
    f"The streams ask for a bearer token with the scope <code>{Scope.FLOWS_READ}</code>, <code>{paths.LATEST}</code> "
    f"for <code>{Scope.STATUS_READ}</code>, the CVEs for <code>{Scope.CVES_READ}</code>, in the header "
    "<code>Authorization: Bearer TOKEN</code> and nowhere else."
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


async def index(request: Request) -> Response:
    """The page."""
    refuse_parameters(request.scope["query_string"])
    state = state_of(request)
    # A browser sends no token: where one is asked for, the page tells everything but the data's own figures.
    time, count = (None, None) if state.tokens else await state.run(lambda: _newest(state))
    page = _render(state.schema, str(request.base_url).rstrip("/"), time, count)
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})


def _newest(state: ServerState) -> tuple[int | None, int]:
    snapshot = Snapshot.open(state.config.database, state.schema)
    try:
        return newest(snapshot, state.schema, state.visible(EVERYTHING))
    finally:
        snapshot.close()


def _render(schema: TableSchema, base: str, time: int | None, count: int | None) -> str:
    window = _window(time)
    return _template().substitute(
        name=escape(schema.name),
        description=escape(schema.description),
        rows="not shown" if count is None else f"{count:,}",
        access=OPEN if count is not None else CLOSED,
        newest="not shown" if count is None else "none yet" if time is None else f"second {time:,}",
        stream=paths.STREAM,
        latest=paths.LATEST,
        health=paths.HEALTH,
        openapi=paths.OPENAPI,
        cves=paths.CVES,
        cve=paths.CVE,
        totals=", ".join(f"<code>{path}</code>" for path in paths.CVE_TOTALS),
        notice=NOTICE,
        base=escape(base),
        window=escape(window),
        formats="".join(_format_row(wire_format, window) for wire_format in WireFormat),
        parameters="".join(_parameter_row(parameter) for parameter in stream_parameters(tuple(WireFormat))),
        columns="".join(_row(column.name, column.type, column.description) for column in schema.columns),
        problems="".join(f'<dt id="{kind}">{kind}</dt><dd>{escape(text)}</dd>' for kind, text in KINDS.items()),
    )


def _window(time: int | None) -> str:
    """The query of the three-hour window that holds `time`."""
    start = 0 if time is None else time // EXAMPLE_SECONDS * EXAMPLE_SECONDS
    before = f"{BEFORE.name}={start + EXAMPLE_SECONDS - 1}"
    return f"{AFTER.name}={start - 1}&{before}" if start > 0 else before


def _format_row(wire_format: WireFormat, window: str) -> str:
    link = escape(f"{paths.STREAM}?{window}&limit=100&format={wire_format}")
    return f'<tr><td><a href="{link}">{wire_format}</a></td><td><code>{wire_format.content_type}</code></td></tr>'


def _parameter_row(parameter: Parameter) -> str:
    allowed = f"from {parameter.minimum}" if isinstance(parameter, IntegerParameter) else parameter.allowed
    return _row(parameter.name, allowed, parameter.description)


def _row(name: str, kind: str, text: str) -> str:
    return f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{escape(text)}</td></tr>"


@cache
def _template() -> Template:
    return Template(Path(__file__).with_name("index.html").read_text("utf-8"))
