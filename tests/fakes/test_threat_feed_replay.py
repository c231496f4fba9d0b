"""The invented feed: a token, half-open ranges, NDJSON or JSON, links to follow."""

import json
import re
from functools import partial

import pytest
import urllib3

from .serving import ManualClock
from .threat_feed_server import Links, Sighting, ThreatFeedServer, sightings

HEADERS = {"Authorization": "Bearer feed-token"}
WHOLE = {"from": "2024-03-01T00:00:00Z", "to": "2024-03-04T00:00:00+00:00"}
DATA = sorted(sightings(250, seed=6), key=lambda sighting: str(sighting["seen_at"]))


def follow(client: urllib3.PoolManager, server: ThreatFeedServer, **fields: str) -> list[Sighting]:
    response = client.request("GET", server.url, fields=fields or WHOLE, headers=HEADERS)
    found: list[Sighting] = []
    while True:
        if server.links == "header":
            found += [json.loads(line) for line in response.data.splitlines()]
            link = re.search(r'<([^<>]*)>; rel="next"', response.headers.get("Link", ""))
            url = link and link[1]
        else:
            found, url = found + response.json()["data"], response.json()["next"]
        if not url:
            return found
        response = client.request("GET", url, headers=HEADERS)


@pytest.mark.parametrize("links", ["header", "body"])
@pytest.mark.parametrize("size", [1, 100, 125, 250, 1000])
def test_all_pages_together_are_the_data(client: urllib3.PoolManager, links: Links, size: int) -> None:
    with ThreatFeedServer(DATA[: size * 10], links=links, page_size=size) as server:
        assert follow(client, server) == DATA[: size * 10]
        assert len(server.requests) == -(-min(len(DATA), size * 10) // size)


@pytest.mark.parametrize("links", ["header", "body"])
def test_an_empty_range(client: urllib3.PoolManager, links: Links) -> None:
    with ThreatFeedServer([], links=links) as server:
        assert follow(client, server) == []


def test_ranges_are_half_open_and_zones_count(client: urllib3.PoolManager) -> None:
    data = [DATA[0] | {"seen_at": f"2024-03-01T00:00:0{second}.000000Z"} for second in range(4)]
    with ThreatFeedServer(data) as server:
        bounds = {"from": "2024-03-01T01:00:01+01:00", "to": "2024-03-01T00:00:03Z"}
        assert follow(client, server, **bounds) == data[1:3]


@pytest.mark.parametrize(
    ("fields", "token", "status"),
    [
        ({"from": "2024-03-01T00:00:00"}, "feed-token", 400),
        ({"to": "2024-03-01T00:00:00"}, "feed-token", 400),
        ({"from": "1709251200"}, "feed-token", 400),
        ({}, "another", 401),
    ],
)
def test_mistakes_are_told(client: urllib3.PoolManager, fields: dict[str, str], token: str, status: int) -> None:
    with ThreatFeedServer(DATA) as server:
        headers = {"Authorization": f"Bearer {token}"}
        response = client.request("GET", server.url, fields=WHOLE | fields, headers=headers)
    assert response.status == status
    assert response.json()["error"]["message"]
    assert ("WWW-Authenticate" in response.headers) == (status == 401)


def test_above_the_rate_it_is_429_with_the_time_to_wait(client: urllib3.PoolManager, clock: ManualClock) -> None:
    with ThreatFeedServer(DATA, requests_per_window=1, clock=clock) as server:
        ask = partial(client.request, "GET", server.url, fields=WHOLE, headers=HEADERS)
        assert ask().status == 200
        clock.now += 20
        response = ask()
        assert (response.status, response.headers["Retry-After"]) == (429, "40")
        clock.now += 40
        assert ask().status == 200


def test_data_that_changes_between_pages_and_foreign_links(client: urllib3.PoolManager) -> None:
    with ThreatFeedServer(DATA, page_size=200) as server:
        server.on_page = lambda page: server.sightings.__delitem__(slice(0, 1 if page == 1 else 0))
        assert follow(client, server) == DATA[:200] + DATA[201:]
        server.next_origin = "http://elsewhere.example"
        response = client.request("GET", server.url, fields=WHOLE, headers=HEADERS)
        assert "<http://elsewhere.example/v1/sightings?cursor=" in response.headers["Link"]
