"""Qualys hosts with detections and KnowledgeBase entries, from a seed or out of a document; the tally of their rows.

A record keeps its XML as bytes, so that a server gives back exactly what it was given. The long history is in
qualys_history, documents and HTTP in qualys_documents and qualys_server.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from lxml import etree

START = datetime(2023, 5, 1, tzinfo=UTC)
TEXTS = (
    "Certificate #0 CN=host (host) doesn't resolve",
    "HKLM\\SYSTEM\\Current\nEM64T\t=\tFamily 6",
    "<P>markup &quot;inside&quot; <B>CDATA</B> &amp; bare & ampersand",
    "an end ]]> inside, ]]]]>> twice, and ]]>",
    "ünïcödé 漢字 \U0001f512 \u200f",
    "",
    " leading and trailing blanks ",
)
STATUSES = ("New", "Active", "Fixed", "Re-Opened")
PRIME = 2_147_483_647


class Detection(NamedTuple):
    """`updated` is what the time filters look at, "" where it has no time at all; `term` is its part of the tally."""

    xml: bytes
    updated: str
    status: str
    kind: str
    term: int


class Host(NamedTuple):
    number: int
    head: bytes  # its fields; the list of detections follows
    detections: tuple[Detection, ...]


class Vuln(NamedTuple):
    qid: int
    modified: str
    xml: bytes


class HostSource(Protocol):
    """Hosts that are made when they are asked for, in the order of their ids."""

    def from_id(self, id_min: int) -> Iterator[Host]: ...


@dataclass
class Tally:
    """Rows and an order-independent digest: the sum over all rows of `term`."""

    rows: int = 0
    digest: int = 0

    def add(self, detections: Iterable[Detection]) -> None:
        for detection in detections:
            self.rows += 1
            self.digest += detection.term


def expected(hosts: Iterable[Host]) -> Tally:
    """The tally of all detections of these hosts."""
    tally = Tally()
    for host in hosts:
        tally.add(host.detections)
    return tally


def term(host: int, qid: int, times_found: int, updated: int, results: int) -> int:
    """A row's part of the digest, simple enough for SQL: 0 for what is missing; 64 bits hold it for ids below 8e9.

    In SQL: MOD(((host * 1009 + qid) * 1013 + times_found) * 1019 + UNIX_SECONDS(updated) + LENGTH(results),
    2147483647).
    """
    return (((host * 1009 + qid) * 1013 + times_found) * 1019 + updated + results) % PRIME


def written(moment: datetime) -> str:
    """As Qualys writes times."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def cdata(text: str) -> str:
    """As a CDATA section; `]]>` is split over two."""
    return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"


def element(name: str, text: str, *, indent: int, raw: bool = False) -> str:
    return f"{' ' * indent}<{name}>{text if raw else cdata(text)}</{name}>\n"


def detection_of(host: int, xml: bytes) -> Detection:
    """Reads from the element what the server's filters and the tally need."""
    root = etree.fromstring(xml)
    updated = root.findtext("LAST_UPDATE_DATETIME") or root.findtext("LAST_FOUND_DATETIME") or ""
    seconds = int(datetime.fromisoformat(updated).timestamp()) if updated else 0
    qid, found = int(root.findtext("QID") or 0), int(root.findtext("TIMES_FOUND") or 0)
    part = term(host, qid, found, seconds, len(root.findtext("RESULTS") or ""))
    return Detection(xml, updated, root.findtext("STATUS") or "", root.findtext("TYPE") or "", part)


def hosts_of(document: bytes) -> list[Host]:
    """The hosts of a detection document."""
    root = etree.fromstring(document, etree.XMLParser(strip_cdata=False, no_network=True))
    return [_host_of(host) for host in root.iterfind(".//HOST_LIST/HOST")]


def vulns_of(document: bytes) -> list[Vuln]:
    """The entries of a KnowledgeBase document."""
    root = etree.fromstring(document, etree.XMLParser(strip_cdata=False, no_network=True))
    found = []
    for vuln in root.iterfind(".//VULN_LIST/VULN"):
        modified = vuln.findtext("LAST_SERVICE_MODIFICATION_DATETIME") or ""
        found.append(Vuln(int(vuln.findtext("QID") or 0), modified, _bytes(vuln)))
    return found


def hosts(count: int, seed: int = 0, *, start: datetime = START, days: int = 30, most: int = 40) -> list[Host]:
    """`count` hosts with 0..`most` detections each, updated in the `days` after `start`; ids rise with gaps."""
    chance = random.Random(seed)
    number, made = 1000, []
    for _ in range(count):
        number += chance.randint(1, 1000)
        amount = chance.choice((0, 1, chance.randint(2, 8), most))
        qids = chance.sample(range(1, 400_000), amount)
        xmls = [_detection(chance, qid, start + timedelta(seconds=chance.randrange(days * 86_400))) for qid in qids]
        made.append(Host(number, _head(chance, number, start), tuple(detection_of(number, xml) for xml in xmls)))
    return made


def vulns(count: int, seed: int = 0, *, start: datetime = START, days: int = 30) -> list[Vuln]:
    """`count` KnowledgeBase entries, modified in the `days` after `start`."""
    chance = random.Random(seed)
    made = []
    for qid in range(1, count + 1):
        modified = written(start + timedelta(seconds=chance.randrange(days * 86_400)))
        made.append(Vuln(qid, modified, _vuln(chance, qid, modified)))
    return made


def _host_of(host: etree._Element) -> Host:
    number = int(host.findtext("ID") or 0)
    head = b"".join(b"        %b\n" % _bytes(child) for child in host if child.tag != "DETECTION_LIST")
    found = [detection_of(number, _bytes(detection)) for detection in host.iterfind("DETECTION_LIST/DETECTION")]
    return Host(number, head, tuple(found))


def _bytes(node: etree._Element) -> bytes:
    return etree.tostring(node, encoding="utf-8", with_tail=False)


def _head(chance: random.Random, number: int, start: datetime) -> bytes:
    fields = element("ID", str(number), indent=8, raw=True)
    fields += element("IP", f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", indent=8, raw=True)
    fields += element("TRACKING_METHOD", chance.choice(("IP", "DNS", "NETBIOS", "AGENT")), indent=8, raw=True)
    if chance.random() < 0.8:
        fields += element("OS", chance.choice(("Linux 3.13", "Windows Server 2019 <x64>", "")), indent=8)
    if chance.random() < 0.8:
        fields += element("DNS", f"höst-{number}.example.org", indent=8)
        parts = "".join(element(name, f"höst-{number}", indent=10) for name in ("HOSTNAME", "DOMAIN", "FQDN"))
        fields += f"        <DNS_DATA>\n{parts}        </DNS_DATA>\n"
    if chance.random() < 0.5:
        fields += element("NETBIOS", f"HOST{number}", indent=8)
    fields += element("LAST_SCAN_DATETIME", written(start), indent=8, raw=True)
    if chance.random() < 0.5:
        fields += element("LAST_VM_SCANNED_DATE", written(start), indent=8, raw=True)
        fields += element("LAST_VM_SCANNED_DURATION", str(chance.randrange(10_000)), indent=8, raw=True)
    return fields.encode()


def _detection(chance: random.Random, qid: int, updated: datetime) -> bytes:
    moment = written(updated)
    port = {"PORT": str(chance.randrange(1, 65_536)), "PROTOCOL": chance.choice(("tcp", "udp"))}
    before = {"QID": str(qid), "TYPE": chance.choice(("Confirmed", "Potential")), "SEVERITY": str(chance.randint(1, 5))}
    before |= port | {"SSL": "1"} if chance.random() < 0.5 else {}
    after = {"STATUS": chance.choice(STATUSES), "FIRST_FOUND_DATETIME": moment, "LAST_FOUND_DATETIME": moment}
    after |= {"TIMES_FOUND": str(chance.randint(1, 999)), "LAST_TEST_DATETIME": moment}
    after |= {"LAST_UPDATE_DATETIME": moment} if chance.random() < 0.9 else {}
    after |= {"LAST_FIXED_DATETIME": moment} if chance.random() < 0.3 else {}
    after |= {"IS_IGNORED": "0", "IS_DISABLED": "0", "LAST_PROCESSED_DATETIME": moment}
    fields = "".join(element(name, text, indent=12, raw=True) for name, text in before.items())
    if chance.random() < 0.9:
        fields += element("RESULTS", " / ".join(chance.choices(TEXTS, k=chance.randint(1, 5))), indent=12)
    fields += "".join(element(name, text, indent=12, raw=True) for name, text in after.items())
    return f"<DETECTION>\n{fields}          </DETECTION>".encode()


def _vuln(chance: random.Random, qid: int, modified: str) -> bytes:
    plain = {"QID": str(qid), "VULN_TYPE": "Vulnerability", "SEVERITY_LEVEL": str(chance.randint(1, 5))}
    fields = "".join(element(name, text, indent=8, raw=True) for name, text in plain.items())
    fields += element("TITLE", chance.choice(TEXTS), indent=8)
    plain = {"CATEGORY": "Cisco", "LAST_SERVICE_MODIFICATION_DATETIME": modified, "PUBLISHED_DATETIME": modified}
    fields += "".join(element(name, text, indent=8, raw=True) for name, text in plain.items())
    fields += element("PATCHABLE", str(chance.randint(0, 1)), indent=8, raw=True)
    if cves := [f"CVE-2020-{chance.randrange(1000, 9999)}" for _ in range(chance.randint(0, 3))]:
        inner = "".join(_cve(cve) for cve in cves)
        fields += f"        <CVE_LIST>\n{inner}        </CVE_LIST>\n"
    if chance.random() < 0.8:
        fields += element("DIAGNOSIS", " <P>\n".join(chance.choices(TEXTS, k=3)), indent=8)
    fields += "        <DISCOVERY>\n          <REMOTE>1</REMOTE>\n        </DISCOVERY>\n"
    return f"<VULN>\n{fields}      </VULN>".encode()


def _cve(name: str) -> str:
    fields = element("ID", name, indent=12) + element("URL", f"http://cve.example/?name={name}&x", indent=12)
    return f"          <CVE>\n{fields}          </CVE>\n"
