"""What the features of one server share: tokens, and the limit of streams that run at once."""

from starlette.requests import Request

from api_server.config import ServerConfig
from api_server.http.admission import Admission
from api_server.http.tokens import TokenFile


class Shared:
    """The application keeps it for its requests."""

    def __init__(self, config: ServerConfig) -> None:
        self.tokens = TokenFile(config.tokens) if config.tokens else None
        self.admission = Admission(config.active_streams)


def shared_of(request: Request) -> Shared:
    """What the app that a request came to shares."""
    shared: Shared = request.app.state.shared
    return shared
