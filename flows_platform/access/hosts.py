"""Names that a server answers to. A page whose DNS name was rebound to this machine sends that name instead."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, Self

from flows_platform.domain.errors import ConfigurationError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.IGNORECASE)


def host_name(host: str) -> str:
    """The name in `host[:port]`, in lower case, without brackets or a final dot; empty if there is no name."""
    found = _HOST.fullmatch(host)
    return found[1].strip("[]").removesuffix(".").lower() if found else ""


def in_url(host: str) -> str:
    """A host as a URL writes it: an IPv6 address is in brackets."""
    return f"[{host}]" if ":" in host else host


def host_names(listed: str) -> tuple[str, ...]:
    """The hosts of a list with commas, each `name` or `name:port`.

    Raises:
        ConfigurationError: one of them is not a host.
    """
    hosts = tuple(host.strip() for host in listed.split(",") if host.strip())
    for host in hosts:
        if not host_name(host):
            raise ConfigurationError(
                f"{host!r} is not the name of a host.", remedy="Write flows.example.com, or flows.example.com:8443."
            )
    return hosts


@dataclass(frozen=True, slots=True)
class HostList:
    """Names of this machine's loopback, and those that were configured."""

    names: frozenset[str]

    @classmethod
    def of(cls, *hosts: str) -> Self:
        """The list with these beside loopback; each is `name` or `name:port`, whose port is not compared."""
        return cls(frozenset((*LOOPBACK, *filter(None, map(host_name, hosts)))))

    def admits(self, scope: Mapping[str, Any]) -> bool:
        """Whether every Host header of an ASGI request has one of the names, or the address that it arrived at.

        A request without a Host header does not come from a browser.
        """
        # guard: each of several Host headers counts
        return all(self._admits(host, scope) for host in header_values(scope, b"host"))

    def _admits(self, host: str, scope: Mapping[str, Any]) -> bool:
        name = host_name(host)
        # guard: a server answers to its own names alone
        return name in self.names or (name != "" and name == _arrived_at(scope))


def header_values(scope: Mapping[str, Any], name: bytes) -> list[str]:
    """All values of a header of an ASGI request; `name` in lower case."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _arrived_at(scope: Mapping[str, Any]) -> str | None:
    """The connection's address on this machine. It is a number: no name that is rebound can equal it."""
    try:
        address = ip_address(str((scope.get("server") or ("",))[0]))
    except ValueError:  # a Unix socket, or a test's name
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
