"""ASGI: which requests reach Dagster's webserver. Knows no Dagster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows_platform.access.hosts import HostList, header_values
from flows_platform.access.key import bearer, same_key

KEY = "key"  # of the query of the address that `flows dev` shows
OPEN_PATH = "/server_info"  # versions; Dagster's own tools ask for them to see whether it serves
OWN_SITE = {"same-origin", "none"}  # none: the user typed the address or followed a bookmark
COOKIE_SECONDS = 365 * 24 * 3600
HEADERS = [
    (b"x-frame-options", b"SAMEORIGIN"),  # the UI frames its own notebooks
    (b"x-content-type-options", b"nosniff"),
]


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """The installation's key, the UI's public names (`name` or `name:port`), and the prefix of its paths."""

    key: str
    hosts: Sequence[str] = ()
    prefix: str = ""


class WebserverGuard:
    """Refuses requests and websockets for another name (421), from another origin (403) or without the key (401).

    The key comes as a bearer token, or in the cookie that is given for `/?key=…`.
    """

    def __init__(self, app: ASGIApp, settings: GuardSettings) -> None:
        self._app, self._settings = app, settings
        self._hosts = HostList.of(*settings.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        app = next((answer for rule in self._rules() if (answer := rule(scope))), self._app)
        await app(scope, receive, _secured(send))

    def _rules(self) -> tuple[Callable[[Scope], Response | None], ...]:
        return self._of_another_name, self._from_another_origin, self._exchange, self._without_key

    def _of_another_name(self, scope: Scope) -> Response | None:
        # guard: Dagster's UI answers to its own names
        if self._hosts.admits(scope):
            return None
        remedy = "Open it by one of its names, or add this one to FLOWS_ALLOWED_HOSTS."
        return _refused(HTTPStatus.MISDIRECTED_REQUEST, f"The Host header is not a name of this server. {remedy}")

    def _from_another_origin(self, scope: Scope) -> Response | None:
        """Other pages may send a GET: it changes nothing, and its answer is hidden from them; a websocket is not."""
        # guard: a websocket is not taken for a GET
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}:
            return None
        own = {*header_values(scope, b"host"), *self._settings.hosts}
        origins = [urlsplit(origin).netloc for origin in header_values(scope, b"origin")]
        sites = header_values(scope, b"sec-fetch-site")
        # guard: another origin does not act
        if own.issuperset(origins) and OWN_SITE.issuperset(sites):
            return None
        return _refused(HTTPStatus.FORBIDDEN, "Pages of another origin may not act here.")

    def _exchange(self, scope: Scope) -> Response | None:
        """Exchange the key in the address for a cookie, so that it leaves the address bar and the history."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if not any(name == KEY and same_key(self._settings.key, value) for name, value in query):
            return None
        rest = urlencode([(name, value) for name, value in query if name != KEY])
        # guard: a redirect with the key stays on this host
        path = "/" + quote(scope["path"]).lstrip("/")  # never //host
        answer = RedirectResponse(path + ("?" + rest if rest else ""), HTTPStatus.SEE_OTHER)
        answer.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        # Lax, not Strict: a link in a notification is a navigation from another site.
        answer.set_cookie(
            cookie_name(scope),
            self._settings.key,
            max_age=COOKIE_SECONDS,
            path=self._settings.prefix or "/",
            secure=scope["scheme"] == "https",
            httponly=True,
            samesite="lax",
        )
        return answer

    def _without_key(self, scope: Scope) -> Response | None:
        if scope["type"] == "http" and scope["path"] == self._settings.prefix + OPEN_PATH:
            return None
        cookie = HTTPConnection(scope).cookies.get(cookie_name(scope), "")
        # guard: Dagster's UI asks for the key
        if any(same_key(self._settings.key, given) for given in (cookie, bearer(scope))):
            return None
        answer = _refused(
            HTTPStatus.UNAUTHORIZED,
            "This is the Dagster UI of a flows platform. It needs the key of its installation.\n"
            "Open the address that `flows dev` shows, which ends in ?key=…; the key is in dagster.key in FLOWS_HOME.\n"
            "Programs send it as a bearer token.",
        )
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer


def cookie_name(scope: Scope) -> str:
    """The cookie's name, which has the port: browsers keep one jar for all ports of a host."""
    return f"flows_key_{(scope.get('server') or ('', 0))[1]}"


def _refused(status: HTTPStatus, text: str) -> Response:
    return PlainTextResponse(text + "\n", status, {"Cache-Control": "no-store"})


def _secured(send: Send) -> Send:
    async def send_secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(pair for pair in HEADERS if pair[0] not in present)]
        await send(message)

    return send_secured
