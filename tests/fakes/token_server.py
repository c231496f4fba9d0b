"""An API behind OAuth2: tokens are issued at /token, and are good for some requests."""

import ssl
from urllib.parse import parse_qsl

from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document


class TokenServer(SmallServer):
    """Gives `records` to requests with a token that is good for `uses` more of them.

    `forms` are the token requests as they came; `issue` is what a token's answer has beside the token.
    """

    def __init__(
        self, records: object, *, uses: int = 1000, tls: ssl.SSLContext | None = None, **issue: object
    ) -> None:
        super().__init__(self._answer, tls)
        self._records, self._uses, self._issue = records, uses, issue
        self.forms: list[dict[str, str]] = []
        self._left: dict[str, int] = {}

    def _answer(self, asked: Asked) -> Answer:
        if asked.path == "/token":
            self.forms.append(dict(parse_qsl(asked.body.decode())))
            token = f"canary-token-{len(self.forms)}"
            self._left[token] = self._uses
            return document({"access_token": token, "token_type": "Bearer"} | self._issue)
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        self._left[token] = self._left.get(token, 0) - 1
        if self._left[token] < 0:
            return document({"detail": f"the token {token} has expired"}, 401)
        return document({"data": self._records})
