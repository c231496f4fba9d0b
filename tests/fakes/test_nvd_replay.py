"""The NVD server does what NVD's API does; asked with a plain client."""

from datetime import datetime, timedelta
from typing import Any

import ijson
import pytest
import urllib3
from urllib3.exceptions import HTTPError

from .cve_objects import changed, cves, written
from .nvd_server import UNAVAILABLE, NvdServer
from .serving import Fault, ManualClock

START, END = datetime(2024, 1, 1), datetime(2024, 2, 1)  # noqa: DTZ001 - NVD writes its times without a zone
WINDOW = {"lastModStartDate": "2024-01-01T00:00:00.000", "lastModEndDate": "2024-02-01T00:00:00.000"}
DATA = list(cves(120, seed=4, start=START, end=END))


def get(client: urllib3.PoolManager, server: NvdServer, **fields: object) -> urllib3.BaseHTTPResponse:
    """`key` goes into the header, all else into the address."""
    headers = {"apiKey": str(fields.pop("key"))} if "key" in fields else {}
    return client.request("GET", server.url, fields={k: str(v) for k, v in fields.items()}, headers=headers)


def pages(client: urllib3.PoolManager, server: NvdServer, size: int, **fields: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    start, total = 0, 1
    while start < total:
        body = get(client, server, startIndex=start, resultsPerPage=size, **fields).json()
        total, start = body["totalResults"], start + size
        found += [entry["cve"] for entry in body["vulnerabilities"]]
    return found


def test_all_pages_together_are_the_data(client: urllib3.PoolManager) -> None:
    with NvdServer(DATA) as server:
        assert pages(client, server, 50, **WINDOW) == DATA
    assert [asked.parameters["startIndex"] for asked in server.requests] == ["0", "50", "100"]
    assert {asked.status for asked in server.requests} == {200}


def test_a_page_is_streamed_in_chunks_and_read_by_a_stream_parser(client: urllib3.PoolManager) -> None:
    with NvdServer(DATA) as server:
        response = client.request("GET", server.url, preload_content=False)
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert [one["id"] for one in ijson.items(response, "vulnerabilities.item.cve")] == [cve["id"] for cve in DATA]
        response.release_conn()


def test_both_bounds_are_inclusive(client: urllib3.PoolManager) -> None:
    moments = [START + timedelta(milliseconds=step) for step in range(4)]
    data = [changed(cve, moment) for cve, moment in zip(DATA, moments, strict=False)]
    bounds = {"lastModStartDate": written(moments[1]) + "Z", "lastModEndDate": written(moments[2]) + "+00:00"}
    with NvdServer(data) as server:
        assert pages(client, server, 2000, **bounds) == data[1:3]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lastModStartDate": "2024-01-01T00:00:00.000"}, "must both be given"),
        ({**WINDOW, "lastModEndDate": "2024-04-30T00:00:00.001"}, "120 days"),
        ({**WINDOW, "lastModEndDate": "2023-12-31T00:00:00.000"}, "120 days"),
        ({**WINDOW, "lastModEndDate": "2024-01-01"}, "Invalid ISO 8601 date/time format"),
        ({"resultsPerPage": 2001}, "Invalid resultsPerPage"),
        ({"startIndex": -1}, "Invalid startIndex"),
        ({"lastModifiedStart": "x"}, "Invalid parameters: lastModifiedStart"),
        ({"key": "wrong"}, "Invalid apiKey"),
    ],
)
def test_a_mistake_is_404_with_its_reason_in_a_header(
    client: urllib3.PoolManager, fields: dict[str, str], message: str
) -> None:
    with NvdServer(DATA, api_key="right") as server:
        response = get(client, server, **fields)
    assert (response.status, response.data) == (404, b"")
    assert message in response.headers["message"]


def test_a_range_of_exactly_120_days_is_served(client: urllib3.PoolManager) -> None:
    with NvdServer(DATA) as server:
        assert get(client, server, **WINDOW | {"lastModEndDate": "2024-04-30T00:00:00.000"}).status == 200


def test_a_zone_may_be_required(client: urllib3.PoolManager) -> None:
    with NvdServer(DATA, zone_required=True) as server:
        assert get(client, server, **WINDOW).status == 404
        assert pages(client, server, 2000, **{name: f"{moment}Z" for name, moment in WINDOW.items()}) == DATA


def test_above_the_rate_it_is_403_until_the_window_has_rolled(client: urllib3.PoolManager, clock: ManualClock) -> None:
    with NvdServer(DATA, api_key="k", requests_per_window=2, keyed_requests_per_window=3, clock=clock) as server:
        assert [get(client, server).status for _ in range(3)] == [200, 200, 403]
        assert [get(client, server, key="k").status for _ in range(4)] == [200, 200, 200, 403]
        clock.now += 30
        assert get(client, server).status == 200


def test_a_record_that_changes_while_pages_are_read_moves_the_others(client: urllib3.PoolManager) -> None:
    """The danger that look-back is for: 50 records on, one is skipped though it never changed."""
    with NvdServer(DATA) as server:

        def modify_the_first(page: int) -> None:
            if page == 1:
                server.cves[0] = changed(server.cves[0], END + timedelta(days=1))

        server.on_page = modify_the_first
        found = pages(client, server, 50, **WINDOW)
    assert [cve["id"] for cve in DATA if cve not in found] == [DATA[50]["id"]]


def test_total_results_is_counted_at_each_request(client: urllib3.PoolManager) -> None:
    with NvdServer(DATA) as server:
        server.on_page = lambda page: server.cves.__delitem__(-page)
        totals = [get(client, server, resultsPerPage=1).json()["totalResults"] for _ in range(3)]
    assert totals == [120, 119, 118]


def test_the_nth_request_fails_as_told(client: urllib3.PoolManager) -> None:
    with NvdServer(DATA) as server:
        server.faults = {1: Fault(UNAVAILABLE), 2: Fault(cut_after=1000)}
        assert get(client, server).status == 503
        with pytest.raises(HTTPError):
            get(client, server)
        assert len(get(client, server).json()["vulnerabilities"]) == 120


def test_severity_and_id_select(client: urllib3.PoolManager) -> None:
    with NvdServer(DATA, requests_per_window=99) as server:
        assert pages(client, server, 2000, cveId=DATA[7]["id"]) == [DATA[7]]
        for name, metrics in {"cvssV2Severity": ["cvssMetricV2"], "cvssV4Severity": ["cvssMetricV40"]}.items():
            found = pages(client, server, 2000, **{name: "HIGH"})
            assert found
            assert all(any("HIGH" in str(cve["metrics"][metric]) for metric in metrics) for cve in found)


def test_an_empty_answer_may_lack_its_list(client: urllib3.PoolManager) -> None:
    with NvdServer([]) as server, NvdServer([], omit_empty_list=True) as other:
        assert get(client, server).json()["vulnerabilities"] == []
        assert "vulnerabilities" not in get(client, other).json()


def test_the_generator_is_reproducible_and_of_many_shapes() -> None:
    assert list(cves(50, seed=1)) == list(cves(50, seed=1)) != list(cves(50, seed=2))
    many = list(cves(400))
    assert len({cve["id"] for cve in many}) == 400
    assert {name for cve in many for name in cve["metrics"]} == {f"cvssMetricV{n}" for n in ("2", "30", "31", "40")}
    assert {len(cve["references"]) for cve in many} >= {0, 6}
    assert any("weaknesses" not in cve for cve in many)
