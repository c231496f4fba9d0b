"""The long history: as large as asked, cheap, the same from any position, and its tally is that of its XML."""

import tracemalloc
from collections import deque
from itertools import islice

import urllib3
from lxml import etree

from .plain_qualys import HEADERS
from .qualys_history import BASE, STEP, History
from .qualys_objects import Tally, detection_of, expected
from .qualys_server import QualysServer


def test_it_is_at_least_as_large_as_asked_and_not_much_larger() -> None:
    size = sum(len(one.xml) for host in History(20_000_000, seed=1) for one in host.detections)
    assert 20_000_000 <= size < 26_000_000


def test_the_numbers_of_a_detection_are_those_of_its_xml() -> None:
    for host in islice(History(3_000_000, seed=2), 100):
        assert [detection_of(host.number, one.xml) for one in host.detections] == list(host.detections)
        assert len({etree.fromstring(one.xml).findtext("QID") for one in host.detections}) == len(host.detections)


def test_any_place_gives_the_same_hosts_and_seeds_differ() -> None:
    history = History(3_000_000, seed=3)
    assert next(history.from_id(BASE + 50 * STEP)) == next(islice(history, 50, None))
    assert next(history.from_id(BASE + 49 * STEP + 1)).number == BASE + 50 * STEP
    assert expected(history) == expected(History(3_000_000, seed=3)) != expected(History(3_000_000, seed=4))


def test_gigabytes_are_not_stored() -> None:
    history = History(4_000_000_000)
    tracemalloc.start()
    deque(islice(history, 500), maxlen=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_it_streams_through_the_server_page_by_page(client: urllib3.PoolManager) -> None:
    history, found, read = History(3_000_000), Tally(), 0
    with QualysServer(history) as server:
        url: str | None = f"{server.detections_url}?action=list&truncation_limit=100"
        while url:
            response = client.request("GET", url, headers=HEADERS, preload_content=False)
            url = None
            for _, node in etree.iterparse(response, tag=("HOST", "URL")):
                read += 1
                if node.tag == "URL":
                    url = node.text
                    continue
                number = int(node.findtext("ID") or 0)
                found.add(detection_of(number, etree.tostring(one)) for one in node.iter("DETECTION"))
            response.release_conn()
        assert found == expected(history) == server.sent
        assert len(server.requests) == -(-history.count // 100)
