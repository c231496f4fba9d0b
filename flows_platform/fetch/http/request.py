"""One request to an API, before it is sent. Paging changes it, authentication signs it, the client sends it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlencode

from flows_platform.domain.errors import ConfigurationError

type Parameters = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """A request. `parameters` are added to the URL's query, in their order; a name may come several times.

    `fixed` says that the query stays as the source wrote it, as in a link: no parameter is added to it. `content_type`
    is that of the body; a header of the source's own comes before it.
    """

    url: str = field(repr=False)
    parameters: Parameters = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "GET"
    body: bytes | None = field(default=None, repr=False)
    content_type: str = ""
    fixed: bool = False

    @property
    def target(self) -> str:
        """The URL with all parameters. It may hold secrets once the request is signed: never log it."""
        if not self.parameters:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}{urlencode(self.parameters)}"

    @property
    def sent_headers(self) -> dict[str, str]:
        """The headers, with the body's type where they do not name one."""
        named = any(name.lower() == "content-type" for name in self.headers)
        own = {"Content-Type": self.content_type} if self.content_type and not named else {}
        return {**self.headers, **own}

    @property
    def identity(self) -> tuple[str, str, bytes | None]:
        """The same for requests that ask for the same page."""
        return (self.method, self.target, self.body)

    def parameter(self, name: str) -> str:
        """The last value of a parameter that the request has."""
        return dict(self.parameters)[name]

    def with_parameters(self, changed: Mapping[str, str]) -> "Request":
        """The request with other values for these parameters, or with these parameters added."""
        kept = tuple((name, value) for name, value in self.parameters if name not in changed)
        return replace(self, parameters=(*kept, *changed.items()))

    def with_body_value(self, names: Sequence[str], value: object) -> "Request":
        """The request with this value at the path of its body; objects on the way are made where they are missing."""
        if self.content_type.endswith("urlencoded"):
            kept = [(name, text) for name, text in parse_qsl((self.body or b"").decode(), keep_blank_values=True)]
            texts = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            others = [(name, text) for name, text in kept if name != ".".join(names)]
            return replace(self, body=urlencode([*others, (".".join(names), texts)]).encode())
        document = json.loads(self.body or b"{}")
        holder = document
        for name in names[:-1]:
            inner = holder.get(name)
            holder[name] = holder = inner if isinstance(inner, dict) else {}
        holder[names[-1]] = value
        return replace(self, body=json.dumps(document, ensure_ascii=False).encode())

    def with_secret_header(self, name: str, secret: str) -> "Request":
        """The request with a secret in a header.

        Raises:
            ConfigurationError: the secret has characters that a header cannot hold.
        """
        # guard: a secret fits a header
        if not (secret.isascii() and secret.isprintable()):  # the HTTP library's own message would show it
            raise ConfigurationError(
                f"the secret for the header {name} holds characters that no header may have.",
                remedy="Set it again, in ASCII and without line ends.",
            )
        return replace(self, headers={**self.headers, name: secret})
