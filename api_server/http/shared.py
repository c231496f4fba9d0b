"""What the features of a server share: tokens, the limit of streams, the reader of bodies, the menu of the pages."""

from collections.abc import Sequence

from starlette.requests import Request

from api_server.config import ServerConfig
from api_server.http.admission import Admission
from api_server.http.authority import Authority
from api_server.http.bodies import BodyReader
from api_server.http.feature import MenuEntry
from api_server.http.token_keys import KeyFile, keys_beside
from api_server.http.tokens import TokenFile

BODY_SECONDS = 10
BODY_BYTES = 4 << 20  # of all bodies at once


class Shared:
    """The state that the application keeps for its requests."""

    def __init__(self, config: ServerConfig, menu: Sequence[MenuEntry]) -> None:
        self.tokens = (
            Authority(TokenFile(config.tokens), KeyFile(keys_beside(config.tokens))) if config.tokens else None
        )
        self.admission = Admission(config.active_streams)
        self.bodies = BodyReader(BODY_SECONDS, BODY_BYTES)
        self.menu = menu


def shared_of(request: Request) -> Shared:
    """The shared state of the application that received a request."""
    shared: Shared = request.app.state.shared
    return shared
