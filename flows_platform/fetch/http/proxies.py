"""Which proxy a request goes through, as the environment says: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.

The same variables in small letters come first, as Python reads them. The platform's own servers are reached directly.
"""

import re
from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

from urllib3.util import parse_url

from flows_platform.access.hosts import in_url
from flows_platform.domain.errors import ConfigurationError
from flows_platform.fetch.http.redirects import PORTS

FORM = "Write http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT with both percent-encoded."


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the variable that names it. `url` has no credentials; these are USER:PASSWORD."""

    url: str
    variable: str
    credentials: str = field(default="", repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What the proxy alone is sent."""
        return {"Proxy-Authorization": f"Basic {_pair(self.credentials)}"} if self.credentials else {}


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies of an environment, by scheme as urllib names them; `own` are HOST:PORT of the platform's servers."""

    given: Mapping[str, str] = field(default_factory=dict, repr=False)
    own: Collection[str] = ()

    @classmethod
    def of_environment(cls, own: Iterable[str] = ()) -> Self:
        """What the variables say now."""
        return cls(getproxies(), frozenset(own))

    def proxy_for(self, url: str) -> Proxy | None:
        """The proxy for a URL; None where it is reached directly.

        Raises:
            ConfigurationError: the variable does not hold the URL of a proxy.
        """
        parts = parse_url(url)
        scheme, host = parts.scheme or "", (parts.host or "").strip("[]").rstrip(".").lower()
        port = parts.port or PORTS.get(scheme, 0)
        name = scheme if self.given.get(scheme) else "all"
        # guard: own servers are reached directly
        if not self.given.get(name) or f"{host}:{port}" in self.own:
            return None
        if any(_exempts(entry, host, port) for entry in re.split(r"[,\s]+", self.given.get("no", ""))):
            return None
        return _proxy(f"{name.upper()}_PROXY", self.given[name])

    @property
    def secrets(self) -> tuple[str, ...]:
        """The passwords of all proxies, and what is sent of them."""
        found = [_credentials(value) for name, value in self.given.items() if name != "no"]
        return tuple(text for pair in filter(None, found) for text in (pair.partition(":")[2], _pair(pair)))


def _proxy(variable: str, value: str) -> Proxy:
    given = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(given)
        host, port, scheme = parts.hostname, parts.port, parts.scheme.lower()
    except ValueError:
        host, port, scheme = None, None, ""
    if scheme not in PORTS and host:
        raise ConfigurationError(f"{variable} names a {scheme} proxy, which is not supported.", remedy=FORM)
    if not host:
        raise ConfigurationError(f"{variable} is not the URL of a proxy.", remedy=FORM)
    return Proxy(f"{scheme}://{in_url(host)}:{port or PORTS[scheme]}", variable, _credentials(value))


def _credentials(value: str) -> str:
    """USER:PASSWORD of a proxy's URL; empty where there are none."""
    authority = value.partition("://")[2] or value
    user, at, _ = re.split(r"[/?#]", authority, maxsplit=1)[0].rpartition("@")
    name, _, password = user.partition(":")
    return f"{unquote(name)}:{unquote(password)}" if at else ""


def _pair(credentials: str) -> str:
    return b64encode(credentials.encode()).decode()


def _exempts(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY means this host: a name and all below it, an address, a network, or `*`.

    A port after it limits it to that port.
    """
    if entry == "*":
        return True
    name, its_port = _split(entry.lower())
    if not name or its_port not in {"", str(port)}:
        return False
    if address := _address(host):
        network = _network(name)
        return network is not None and address in network
    name = name.removeprefix("*").strip(".")
    return bool(name) and f".{host}".endswith(f".{name}")


def _split(entry: str) -> tuple[str, str]:
    """Host and port of an entry; several colons are those of an IPv6 address."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = entry.partition(":")
    return (name, port) if entry.count(":") == 1 else (entry, "")


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _network(name: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(name, strict=False)
    except ValueError:
        return None
