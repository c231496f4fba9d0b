"""A feature of the server: a group of paths with its own state. Applications are composed of features."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from api_server.config import ServerConfig
from api_server.http.openapi_parts import Node
from api_server.http.tokens import Scope

SEVERAL = "Data API"  # names a server of several features

type Endpoint = Callable[[Request], Awaitable[Response]]
type Handler = Callable[[Request, Exception], Response]


class MenuEntry(NamedTuple):
    """A page in the menu that all pages have."""

    path: str
    title: str


@dataclass(frozen=True, slots=True)
class Description:
    """What OpenAPI and the page at `/` say about a feature.

    Args:
        title: The server's title if the feature is alone; see `title_of`.
        text: What the data is.
        paths: OpenAPI's path items.
        scopes: The scopes that these paths, and all other paths of the feature, require.
        schemas: OpenAPI's schemas to which the paths refer.
        problems: The kinds of problem of this feature alone, with their explanations.
        protected: For the page: what tokens give access to, with their scopes.
        hooks: OpenAPI's path items of webhooks, whose senders need no token.
        private: Those of `paths` that only tokens with the whole scope may know of.
    """

    title: str
    text: str
    paths: Node
    scopes: Mapping[str, Scope]
    schemas: Node
    problems: Mapping[str, str] = field(default_factory=dict)
    protected: tuple[tuple[str, Scope], ...] = ()
    hooks: Node = field(default_factory=dict)
    private: frozenset[str] = frozenset()


def title_of(features: Sequence[Description]) -> str:
    """The name of a server of these features: that of the one it has, else one that fits all."""
    return features[0].title if len(features) == 1 else SEVERAL


def text_of(features: Sequence[Description]) -> str:
    """What the data of these features is."""
    return " ".join(feature.text for feature in features)


@dataclass(frozen=True, slots=True)
class PageSections:
    """A feature's HTML sections of the page at `/`, in the page's order; missing sections are empty."""

    figures: str = ""
    links: str = ""
    start: str = ""
    usage: str = ""
    reference: str = ""


class Feature(ABC):
    """A group of paths, their description and their state.

    `create_app` checks features before the server starts and closes them once every stream has ended.
    """

    source: str
    """What is served, for the log's first line."""

    @abstractmethod
    def description(self) -> Description:
        """What OpenAPI and the page say about the feature. Each of its paths needs an endpoint and a scope."""

    @abstractmethod
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The endpoints by their paths, in the order in which paths are tried."""

    def methods(self) -> Mapping[str, Sequence[str]]:
        """The methods of paths with methods other than GET and HEAD."""
        return {}

    def own_scopes(self) -> Collection[str]:
        """Scopes of single things that it serves, beside those of its paths: a token may be exchanged for these."""
        return ()

    @abstractmethod
    async def page(self, base: str, *, shows_data: bool) -> PageSections:
        """The feature's sections of the page at `/`.

        Args:
            base: The server's own URL, without a trailing slash.
            shows_data: Whether the page may show figures of the data; False if readers need a token.
        """

    def hooks(self) -> Mapping[str, Endpoint]:
        """The endpoints of webhooks by their paths: they take POST, and their senders need no token of this server."""
        return {}

    def pages(self) -> Mapping[str, Endpoint]:
        """Pages for people, by their paths. They need no scope: they ask the API as their reader."""
        return {}

    def menu(self) -> Sequence[MenuEntry]:
        """The pages that are in the menu."""
        return ()

    def handlers(self) -> Mapping[type[Exception], Handler]:
        """Handlers of errors that only this feature raises."""
        return {}

    def prepare(self) -> None:  # noqa: B027  most have nothing to do here, as below
        """Set up the process before anything is opened."""

    def caution(self) -> str:
        """A warning for the log's first line; empty if there is none."""
        return ""

    def notes(self) -> Sequence[str]:
        """Lines of the log after the first: what is not served, and why."""
        return ()

    def check(self) -> None:  # noqa: B027
        """Refuse to start if the data cannot be served.

        Raises:
            PlatformError: the data is missing or of another kind.
        """

    def check_exposure(self, config: ServerConfig, address: str) -> None:  # noqa: B027
        """Refuse to serve an address.

        Raises:
            ConfigurationError: other machines can reach the address, and must not have access to what is served.
        """

    async def healthy(self) -> None:  # noqa: B027
        """Check for `/healthz` that data can be read now; raises an error that has a handler."""

    def close(self) -> None:  # noqa: B027
        """Free the state. All streams have ended."""
