"""Which Host headers a server answers to: loopback's, configured ones, and the address that a request arrived at."""

import pytest

from flows_platform.access.hosts import HostList, host_name, host_names
from flows_platform.domain.errors import ConfigurationError


def admitted(*hosts: str, server: tuple[str, int] | None = ("127.0.0.1", 80), listed: tuple[str, ...] = ()) -> bool:
    headers = [(b"host", host.encode()) for host in hosts]
    return HostList.of(*listed).admits({"headers": headers, "server": server})


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:3000", "LocalHost.", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8040"]
)
def test_loopback_has_these_names(host: str) -> None:
    assert admitted(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:3000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil-localhost",
        "127.0.0.1:3000@evil.example",
        "localhost, evil.example",
        "localhost/",
        "192.168.1.7",
        "169.254.169.254",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "",
        ":3000",
        "x",
    ],
)
def test_other_names_are_not_admitted(host: str) -> None:
    assert not admitted(host)


def test_each_of_several_host_headers_counts() -> None:
    assert not admitted("localhost", "evil.example")
    assert not admitted("evil.example", "localhost")


def test_a_request_without_a_host_header_is_no_browsers() -> None:
    assert admitted()


def test_a_configured_name_is_admitted_at_any_port() -> None:
    listed = host_names("flows.example.com, UI.example.com:8443")
    assert admitted("flows.example.com:443", listed=listed)
    assert admitted("ui.example.com", listed=listed)
    assert not admitted("example.com", listed=listed)
    assert not admitted("a.flows.example.com", listed=listed)


@pytest.mark.parametrize(
    ("server", "host"),
    [
        (("192.168.1.7", 8040), "192.168.1.7:8040"),
        (("::ffff:192.168.1.7", 8040), "192.168.1.7:8040"),
        (("fd00::7", 8040), "[fd00::7]:8040"),
    ],
)
def test_the_address_that_a_request_arrived_at_is_admitted(server: tuple[str, int], host: str) -> None:
    assert admitted(host, server=server)
    assert not admitted("192.168.1.8", server=server)


def test_a_server_on_a_unix_socket_has_loopbacks_names_alone() -> None:
    assert admitted("localhost", server=None)
    assert not admitted("evil.example", server=None)


@pytest.mark.parametrize("listed", ["*", "http://x", "a b", "x/y", "ok.example,[", "*.example.com"])
def test_what_is_no_name_is_refused_by_name(listed: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the name of a host"):
        host_names(listed)


def test_a_name_is_cut_out_of_its_port_and_brackets() -> None:
    assert host_name("[2001:DB8::1]:80") == "2001:db8::1"
    assert host_name("X.Example.:80") == "x.example"
