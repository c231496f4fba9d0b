"""The Qualys server does what Qualys' API does; asked with a plain client and read with lxml alone."""

from collections.abc import Callable
from itertools import pairwise
from urllib.parse import urlsplit

import pytest
import urllib3
from lxml import etree
from urllib3.exceptions import HTTPError

from .plain_qualys import EVERY, HEADERS, ask
from .qualys_history import History
from .qualys_objects import Host, expected, hosts, vulns
from .qualys_server import QualysServer
from .serving import Fault, ManualClock

DATA = hosts(60, seed=5)
SHOWN = [host for host in DATA if host.detections]
ENTRIES = vulns(30, seed=5)


def detections(client: urllib3.PoolManager, server: QualysServer, **fields: object) -> etree._Element:
    return etree.fromstring(ask(client, server.detections_url, **EVERY | fields).data)


def pages(client: urllib3.PoolManager, server: QualysServer, **fields: object) -> list[etree._Element]:
    """All pages, by following the warning's URL."""
    found = [detections(client, server, **fields)]
    while url := found[-1].findtext(".//WARNING/URL"):
        found.append(etree.fromstring(client.request("GET", url, headers=HEADERS).data))
    return found


def host_ids(root: etree._Element) -> list[int]:
    return [int(node.text or 0) for node in root.iterfind(".//HOST/ID")]


def qids(root: etree._Element) -> list[int]:
    return [int(node.text or 0) for node in root.iterfind(".//DETECTION/QID")]


def error(response: urllib3.BaseHTTPResponse) -> tuple[int, str]:
    root = etree.fromstring(response.data)
    assert root.tag == "SIMPLE_RETURN"
    return response.status, root.findtext(".//CODE") or ""


def test_all_hosts_with_detections_arrive_and_no_others(client: urllib3.PoolManager) -> None:
    with QualysServer(DATA) as server:
        root = detections(client, server)
        assert host_ids(root) == [host.number for host in SHOWN]
        assert len(SHOWN) < len(DATA)
        assert server.sent == expected(DATA)
    with QualysServer(DATA, empty_hosts=True) as server:
        assert host_ids(detections(client, server)) == [host.number for host in DATA]


def test_every_field_arrives_also_markup_and_section_ends(client: urllib3.PoolManager) -> None:
    with QualysServer(DATA) as server:
        sent = [etree.tostring(etree.fromstring(one.xml), method="c14n") for host in DATA for one in host.detections]
        found = [
            etree.tostring(node, method="c14n", with_tail=False)
            for node in detections(client, server).iter("DETECTION")
        ]
    assert found == sent
    assert any(b"]]&gt; inside, ]]]]&gt;&gt; twice" in xml for xml in found)


@pytest.mark.parametrize("limit", [1, 7, len(SHOWN) - 1])
def test_pages_are_cut_by_hosts_and_continue_from_the_next_id(client: urllib3.PoolManager, limit: int) -> None:
    with QualysServer(DATA, concurrency_limit=1) as server:
        found = pages(client, server, truncation_limit=limit)
        assert [number for page in found for number in host_ids(page)] == [host.number for host in SHOWN]
        assert {len(host_ids(page)) for page in found[:-1]} == {limit}
        for page, following in pairwise(found):
            assert page.findtext(".//WARNING/CODE") == "1980"
            assert (page.findtext(".//WARNING/URL") or "").endswith(f"&id_min={host_ids(following)[0]}")
        assert all(asked.parameters.items() >= EVERY.items() for asked in server.requests)


def test_a_full_last_page_has_no_warning_and_the_limit_is_1000_by_default(client: urllib3.PoolManager) -> None:
    many = [Host(number, b"<ID>%d</ID>" % number, SHOWN[0].detections) for number in range(1, 1002)]
    with QualysServer(DATA) as server:
        assert detections(client, server, truncation_limit=len(SHOWN)).find(".//WARNING") is None
        server.hosts = many
        assert len(host_ids(detections(client, server))) == 1000
        assert len(host_ids(detections(client, server, truncation_limit=0))) == 1001


def test_the_next_url_can_point_elsewhere(client: urllib3.PoolManager) -> None:
    with QualysServer(DATA, next_origin="http://elsewhere.example") as server:
        url = detections(client, server, truncation_limit=1).findtext(".//WARNING/URL")
    assert urlsplit(url).netloc == "elsewhere.example"


@pytest.mark.parametrize(("bounds", "wanted"), [("[]", 3), ("[)", 2), ("(]", 2), ("()", 1)])
def test_the_bounds_of_a_range_are_a_setting(client: urllib3.PoolManager, bounds: str, wanted: int) -> None:
    moments = ["2023-05-01T00:00:00Z", "2023-05-01T00:00:01Z", "2023-05-01T00:00:02Z", ""]
    one = SHOWN[0].detections[0]
    data = [Host(place, b"", (one._replace(updated=moment),)) for place, moment in enumerate(moments)]
    entries = [ENTRIES[0]._replace(modified=moment) for moment in moments[:3]]
    with QualysServer(data, entries, bounds=bounds) as server:  # type: ignore[arg-type] # one of the four
        root = detections(client, server, detection_updated_since="2023-05-01", detection_updated_before=moments[2])
        assert len(qids(root)) == wanted
        fields = {"last_modified_after": moments[0], "last_modified_before": moments[2]}
        root = etree.fromstring(ask(client, server.knowledge_base_url, **fields).data)
        assert len(list(root.iter("VULN"))) == wanted


def test_a_detection_without_any_time_is_in_no_range(client: urllib3.PoolManager) -> None:
    one = SHOWN[0].detections[0]._replace(updated="")
    with QualysServer([Host(1, b"", (one,))], bounds="[]") as server:
        assert len(qids(detections(client, server))) == 1
        assert qids(detections(client, server, detection_updated_before="2099-01-01")) == []
        assert qids(detections(client, server, detection_updated_since="1999-01-01")) == []


def test_only_the_detections_inside_the_range_come(client: urllib3.PoolManager) -> None:
    since, before = "2023-05-05T00:00:00Z", "2023-05-06T00:00:00Z"
    wanted = [host for host in DATA if any(since < one.updated < before for one in host.detections)]
    with QualysServer(DATA) as server:
        root = detections(client, server, detection_updated_since=since, detection_updated_before=before)
        assert host_ids(root) == [host.number for host in wanted]
        assert server.sent.rows == sum(since < one.updated < before for host in DATA for one in host.detections)


def test_fixed_detections_and_information_gathered_come_only_when_asked(client: urllib3.PoolManager) -> None:
    one = SHOWN[0].detections[0]
    kinds = (one._replace(status="Fixed"), one._replace(status="", kind="Info"), one._replace(status="New"))
    with QualysServer([Host(1, b"", kinds)]) as server:
        url = server.detections_url
        asked: list[dict[str, object]] = [{}, {"status": "Fixed"}, {"show_igs": 1}, EVERY | {"show_igs": 1}]
        assert [len(qids(etree.fromstring(ask(client, url, **more).data))) for more in asked] == [1, 1, 2, 3]


def test_an_empty_answer_has_no_list(client: urllib3.PoolManager) -> None:
    with QualysServer(keep_alive_every=1) as server:
        for url in (server.detections_url, server.knowledge_base_url):
            root = etree.fromstring(ask(client, url).data)
            assert [node.tag for node in root.iter(etree.Element)] == [root.tag, "RESPONSE", "DATETIME"]
            assert [node.text for node in root.itersiblings()][-1] == f" keep-alive for {root.tag}  "


def test_keep_alive_comments_stand_between_the_records(client: urllib3.PoolManager) -> None:
    with QualysServer(DATA, ENTRIES, keep_alive_every=3) as server:
        root = detections(client, server)
        assert len(list(root.iterfind("./RESPONSE//{*}HOST"))) == len(SHOWN)
        assert sum("keep-alive" in str(node.text) for node in root.iter(etree.Comment)) >= len(SHOWN) // 3
        knowledge = etree.fromstring(ask(client, server.knowledge_base_url).data)
        assert [int(node.findtext("QID") or 0) for node in knowledge.iter("VULN")] == [vuln.qid for vuln in ENTRIES]


def refuse(change: Callable[[dict[str, str], dict[str, str]], object]) -> tuple[dict[str, str], dict[str, str]]:
    headers, parameters = dict(HEADERS), {"action": "list"}
    change(headers, parameters)
    return headers, parameters


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (refuse(lambda headers, _: headers.pop("Authorization")), (401, "2000")),
        (refuse(lambda headers, _: headers.pop("X-Requested-With")), (400, "1903")),
        (refuse(lambda _, fields: fields.pop("action")), (400, "1903")),
        (refuse(lambda _, fields: fields.update(updated_since="x")), (400, "1901")),
        (refuse(lambda _, fields: fields.update(ids="abc123")), (400, "1905")),
        (refuse(lambda _, fields: fields.update(detection_updated_since="1683000000")), (400, "1905")),
        (refuse(lambda _, fields: fields.update(truncation_limit="-1")), (400, "1905")),
    ],
)
def test_a_mistake_is_a_simple_return(
    client: urllib3.PoolManager, asked: tuple[dict[str, str], dict[str, str]], told: tuple[int, str]
) -> None:
    headers, fields = asked
    with QualysServer(DATA) as server:
        assert error(client.request("GET", server.detections_url, fields=fields, headers=headers)) == told


def test_faults_of_any_status_and_cut_bodies(client: urllib3.PoolManager) -> None:
    with QualysServer(DATA) as server:
        server.faults = {1: server.simple_return(200, 999, "Internal Error"), 2: Fault(cut_after=5000)}
        assert error(ask(client, server.detections_url)) == (200, "999")
        with pytest.raises(HTTPError):
            ask(client, server.detections_url)
        assert host_ids(detections(client, server)) == [host.number for host in SHOWN]


def test_above_the_rate_it_is_409_with_the_time_to_wait(client: urllib3.PoolManager, clock: ManualClock) -> None:
    with QualysServer(DATA, rate_limit=2, window_seconds=3600, clock=clock) as server:
        ask(client, server.detections_url)
        clock.now += 600.5
        assert ask(client, server.detections_url).headers["X-RateLimit-Remaining"] == "0"
        response = ask(client, server.detections_url)
        assert error(response) == (409, "1965")
        assert response.headers["X-RateLimit-ToWait-Sec"] == "3000"
        assert b"another 0 hours, 50 minutes and 0 seconds." in response.data
        assert ask(client, server.knowledge_base_url).status == 200  # each API has a budget of its own
        clock.now += 3000
        assert ask(client, server.detections_url).status == 200


def test_too_many_calls_at_once_are_409(client: urllib3.PoolManager) -> None:
    """The first answer is larger than the socket's buffers, so it is under way until it is read."""
    with QualysServer(History(20_000_000), concurrency_limit=1) as server:
        url = f"{server.detections_url}?action=list&truncation_limit=0"
        first = client.request("GET", url, headers=HEADERS, preload_content=False)
        assert first.read(1000)
        response = ask(client, server.detections_url)
        assert error(response) == (409, "1960")
        assert response.headers["X-RateLimit-ToWait-Sec"] == "0"
        assert response.headers["X-Concurrency-Limit-Running"] == "1"
        first.drain_conn()
        first.release_conn()
        assert ask(client, server.detections_url, truncation_limit=1).status == 200


def test_data_that_changes_between_pages(client: urllib3.PoolManager) -> None:
    with QualysServer(DATA) as server:
        server.on_page = lambda page: server.hosts.remove(SHOWN[-page])  # type: ignore[union-attr] # a list here
        found = [number for page in pages(client, server, truncation_limit=10) for number in host_ids(page)]
        gone = len(server.requests)
    assert found == [host.number for host in SHOWN][: 1 - gone or None]


def test_a_form_is_read_as_the_address_is(client: urllib3.PoolManager) -> None:
    with QualysServer(DATA) as server:
        fields = {"action": "list", "ids": str(SHOWN[3].number), **EVERY}
        response = client.request("POST", server.detections_url, fields=fields, headers=HEADERS, encode_multipart=False)
        assert host_ids(etree.fromstring(response.data)) == [SHOWN[3].number]
