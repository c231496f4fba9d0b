"""Qualys' real answers, fed through the server: they come back unchanged, in the same envelopes."""

import json
import re
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3
from lxml import etree

from .plain_qualys import EVERY, ask
from .qualys_objects import hosts, hosts_of, vulns, vulns_of
from .qualys_server import QualysServer
from .serving import ManualClock

ALL = EVERY | {"show_igs": "1"}
QUIET = etree.XMLParser(remove_blank_text=True, remove_comments=True)


def qualys_documents(shared_data: Path, pattern: str, count: int) -> list[bytes]:
    found = [path.read_bytes() for path in sorted((shared_data / "qualys").glob(pattern))]
    assert len(found) == count
    return found


def elements(root: etree._Element) -> set[str]:
    tree = root.getroottree()
    return {tree.getelementpath(node).translate({ord(c): None for c in "[]0123456789"}) for node in root.iter("*")}


def plain(node: etree._Element) -> bytes:
    """The element without the blanks and comments between its children."""
    return etree.tostring(etree.fromstring(etree.tostring(node, with_tail=False), QUIET), method="c14n")


def doctype_path(document: bytes) -> str:
    """The path of the DTD's address."""
    found = re.search(rb'<!DOCTYPE \w+ SYSTEM "([^"]+)">', document)
    assert found
    return urlsplit(found[1].decode()).path


def test_real_detections_come_back_unchanged(shared_data: Path, client: urllib3.PoolManager) -> None:
    for document in qualys_documents(shared_data, "detections_*.xml", 4):
        real = etree.fromstring(document)
        with QualysServer(hosts_of(document), keep_alive_every=1) as server:
            served = etree.fromstring(ask(client, server.detections_url, **ALL).data)
        # Real hosts are not always in the order of their ids.
        assert sorted(map(plain, served.iter("HOST"))) == sorted(map(plain, real.iter("HOST")))
        assert elements(served) == {path for path in elements(real) if "WARNING" not in path}
        assert (served.getroottree().docinfo.root_name, served.tag) == (real.tag, real.tag)


def test_no_character_section_is_lost(shared_data: Path) -> None:
    for document in qualys_documents(shared_data, "detections_*.xml", 4):
        read = [xml for host in hosts_of(document) for xml in (host.head, *(one.xml for one in host.detections))]
        in_hosts = document.partition(b"<WARNING>")[0]
        assert sum(xml.count(b"<![CDATA[") for xml in read) == in_hosts.count(b"<![CDATA[")


def test_the_real_knowledge_base_comes_back_unchanged(shared_data: Path, client: urllib3.PoolManager) -> None:
    for document in qualys_documents(shared_data, "knowledgebase_*.xml", 3):
        real = etree.fromstring(document)
        clock = ManualClock(datetime.fromisoformat(real.findtext(".//DATETIME") or "").timestamp())
        with QualysServer(vulns=vulns_of(document), keep_alive_every=99, clock=clock) as server:
            response = ask(client, server.knowledge_base_url)
        served = etree.fromstring(response.data)
        assert plain(served) == plain(real)
        assert doctype_path(response.data) == doctype_path(document)
        assert b"<!-- keep-alive for KNOWLEDGE_BASE_VULN_LIST_OUTPUT  -->\n" in response.data


def test_the_real_warning_is_written_again(shared_data: Path, client: urllib3.PoolManager) -> None:
    (document,) = qualys_documents(shared_data, "detections_truncated_*.xml", 1)
    real = etree.fromstring(document)
    (host,) = hosts_of(document)
    data = [host._replace(number=number) for number in range(1, 1001)] + [host._replace(number=3_700_609)]
    with QualysServer(data) as server:
        served = etree.fromstring(ask(client, server.detections_url, show_igs=1).data)
    assert served.findtext(".//WARNING/TEXT") == real.findtext(".//WARNING/TEXT")
    assert [node.tag for node in served[0]] == [node.tag for node in real[0]]
    assert (served.findtext(".//WARNING/URL") or "").endswith("/detection/?action=list&show_igs=1&id_min=3700609")
    assert (real.findtext(".//WARNING/URL") or "").endswith("&id_min=3700609")


@pytest.mark.parametrize(
    ("fault", "name"), [((400, 1905), "simple_return_1905_bad_ids"), ((200, 2001), "simple_return_2001_expired")]
)
def test_real_errors_are_written_again(
    shared_data: Path, client: urllib3.PoolManager, fault: tuple[int, int], name: str
) -> None:
    (document,) = qualys_documents(shared_data, f"{name}.xml", 1)
    real = etree.fromstring(document)
    clock = ManualClock(datetime.fromisoformat(real.findtext(".//DATETIME") or "").timestamp())
    with QualysServer(clock=clock) as server:
        server.faults[1] = server.simple_return(*fault, real.findtext(".//TEXT") or "")
        response = ask(client, server.detections_url)
    assert response.status == fault[0]
    assert plain(etree.fromstring(response.data)) == plain(real)


def test_a_bad_id_is_told_in_the_real_words(shared_data: Path, client: urllib3.PoolManager) -> None:
    (document,) = qualys_documents(shared_data, "simple_return_1905_bad_ids.xml", 1)
    with QualysServer() as server:
        served = etree.fromstring(ask(client, server.detections_url, ids="abc123").data)
    assert served.findtext(".//TEXT") == etree.fromstring(document).findtext(".//TEXT")


def test_the_recorded_headers_are_all_sent(shared_data: Path, client: urllib3.PoolManager) -> None:
    recorded = json.loads((shared_data / "qualys" / "recorded_response_headers.json").read_text())
    with QualysServer(rate_limit=300) as server:
        sent = {name.lower(): value for name, value in ask(client, server.detections_url).headers.items()}
    for headers in (exchange["headers"] for exchange in recorded):
        limits = {name for name in headers if name.startswith(("x-ratelimit", "x-concurrency"))}
        assert limits <= sent.keys()
        assert {name: sent[name] for name in limits - {"x-ratelimit-remaining"}} == {
            name: headers[name] for name in limits - {"x-ratelimit-remaining"}
        }
    assert (sent["content-type"], sent["transfer-encoding"]) == ("application/xml", "chunked")


def test_generated_documents_have_elements_of_real_ones_only(shared_data: Path, client: urllib3.PoolManager) -> None:
    real = {
        path
        for document in qualys_documents(shared_data, "[dk]*.xml", 7)
        for path in elements(etree.fromstring(document))
    }
    with QualysServer(hosts(100), vulns(100)) as server:
        answers = [ask(client, server.detections_url, truncation_limit=50), ask(client, server.knowledge_base_url)]
    assert set().union(*(elements(etree.fromstring(answer.data)) for answer in answers)) <= real
