"""What a declared URL may hold, what it must leave to the window, and what authentication adds."""

from dataclasses import replace

import pytest

from flows_platform.declared import Secret
from flows_platform.domain.errors import ConfigurationError
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.auth import QueryKey
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.http.request import Request
from flows_platform.sources.lanl_flows.schema import FLOWS

from .flow_bodies import BOUNDS
from .scripted import ScriptedServer, answer


def test_a_url_with_credentials_is_refused_and_not_told() -> None:
    with pytest.raises(ConfigurationError, match="holds credentials") as refused:
        WindowedApi(url="https://user:canary@host.example/flows", schema=FLOWS).request(BOUNDS)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("name", ["scanned_after", "scanned_before", "format"])
def test_the_parameters_of_the_window_are_not_set_twice(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"already sets '{name}'"):
        WindowedApi(url=f"https://host.example/flows?{name}=", schema=FLOWS).request(BOUNDS)


KEYED = WindowedApi(
    url="https://host.example/flows?tag=a&tag=b",
    schema=FLOWS,
    time=None,
    format_parameter=None,
    auth=QueryKey(name="k", value=Secret(env="KEY")),
    secrets={"KEY": "canary+7"},
)


def test_a_query_key_joins_our_own_requests_but_no_link_of_the_source() -> None:
    request = KEYED.request(BOUNDS)
    assert request.target == "https://host.example/flows?tag=a&tag=b"
    assert KEYED.signed(request).target == "https://host.example/flows?tag=a&tag=b&k=canary%2B7"
    assert KEYED.shown(request) == "https://host.example/flows?tag=a&tag=b&k=***"
    link = Request("https://host.example/flows?page=2", fixed=True)
    assert KEYED.signed(link) == link
    assert "canary" not in repr(KEYED) + repr(KEYED.signed(request))


def test_a_url_may_not_set_the_parameter_of_the_key() -> None:
    with pytest.raises(ConfigurationError, match="already sets 'k'"):
        replace(KEYED, url="https://host.example/flows?k=1").request(BOUNDS)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://host.example/flows", "https://host.example/flows?a=1&b=x+%2F"),
        ("https://host.example/flows?page=2", "https://host.example/flows?page=2&a=1&b=x+%2F"),
    ],
)
def test_parameters_join_the_query_that_a_url_has(url: str, target: str) -> None:
    assert Request(url, (("a", "1"),)).with_parameters({"b": "x /"}).target == target


def test_a_body_is_sent_with_its_method_and_length(client: HttpClient, server: ScriptedServer) -> None:
    server.scripts = [answer(b"{}")]
    request = Request(server.url, method="POST", headers={"Content-Type": "application/json"}, body=b'{"page": 2}')
    with client.stream(request) as received:
        assert received.read() == b"{}"
    assert server.requests[0].startswith("POST /api/v1/stream/flows ")
    assert "Content-Length: 11\r\n" in server.requests[0]
