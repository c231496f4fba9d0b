"""A history of gigabytes of Qualys detections, made while it is read: templates with other numbers each time.

Nothing is kept, any host can be made from its index alone, and the tally of all rows comes from the same numbers.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from .qualys_objects import START, TEXTS, Detection, Host, cdata, element, term

BASE, STEP = 100_000_000, 7  # the first id, and the gap to the next: ids are not dense in real answers
CYCLE = 64  # kinds of hosts; host number i is of kind i % CYCLE
DAY = 86_400
TIMES = tuple(b"T%02d:%02d:%02dZ" % (s // 3600, s // 60 % 60, s % 60) for s in range(DAY))

type Template = tuple[bytes, int]  # with slots for qid, times found, time; the length of the results in characters


class History:
    """Hosts whose XML takes at least `size` bytes, updated in the `days` after `start` (midnight UTC)."""

    def __init__(self, size: int, seed: int = 0, *, start: datetime = START, days: int = 30) -> None:
        chance = random.Random(seed)
        self._kinds = [_kind(chance) for _ in range(CYCLE)]
        least = sum(len(template) for kind in self._kinds for template, _ in kind)  # slots are shorter than numbers
        self.count = size * CYCLE // least + CYCLE
        self._first = int(start.timestamp())
        self._days = tuple((start + timedelta(days=day)).strftime("%Y-%m-%d").encode() for day in range(days))
        self._seed = seed

    def from_id(self, id_min: int) -> Iterator[Host]:
        """The hosts from this id on; costs nothing for those before."""
        first = max(0, -(-(id_min - BASE) // STEP))
        return (self._host(index) for index in range(first, self.count))

    def __iter__(self) -> Iterator[Host]:
        return self.from_id(0)

    def _host(self, index: int) -> Host:
        number = BASE + index * STEP
        kind = self._kinds[index % CYCLE]
        head = HEAD % (number, index >> 16 & 255, index >> 8 & 255, index & 255, number, number)
        return Host(number, head, tuple(self._detection(index, number, nth, *kind[nth]) for nth in range(len(kind))))

    def _detection(self, index: int, number: int, nth: int, template: bytes, results: int) -> Detection:
        qid = 100_000 + nth * 1000 + (index * 13 + nth) % 1000  # unlike for each of a host's detections
        found = 1 + (index * 31 + nth * 17) % 1000
        second = (index * 7919 + nth * 104_729 + self._seed) % (DAY * len(self._days))
        moment = self._days[second // DAY] + TIMES[second % DAY]
        xml = template % (qid, moment, moment, found, moment, moment, moment)
        part = term(number, qid, found, self._first + second, results)
        return Detection(xml, moment.decode(), "Active", "Confirmed", part)


HEAD = (
    b"        <ID>%d</ID>\n        <IP>10.%d.%d.%d</IP>\n        <TRACKING_METHOD>IP</TRACKING_METHOD>\n"
    b"        <OS><![CDATA[Windows Server 2019 <x64>]]></OS>\n        <DNS><![CDATA[host-%d.example.org]]></DNS>\n"
    b"        <NETBIOS><![CDATA[HOST%d]]></NETBIOS>\n"
    b"        <LAST_SCAN_DATETIME>2023-05-16T15:26:53Z</LAST_SCAN_DATETIME>\n"
)


def _kind(chance: random.Random) -> list[Template]:
    return [_template(chance) for _ in range(chance.choice((1, 4, 16, 40)))]


def _template(chance: random.Random) -> Template:
    text = "\n".join(chance.choices(TEXTS, k=chance.choice((0, 10, 40, 120))))
    before = {"QID": "%d", "TYPE": "Confirmed", "SEVERITY": str(chance.randint(1, 5)), "PORT": "443", "PROTOCOL": "tcp"}
    after = {"STATUS": "Active", "FIRST_FOUND_DATETIME": "%b", "LAST_FOUND_DATETIME": "%b", "TIMES_FOUND": "%d"}
    after |= {"LAST_TEST_DATETIME": "%b", "LAST_UPDATE_DATETIME": "%b", "IS_IGNORED": "0", "IS_DISABLED": "0"}
    after |= {"LAST_PROCESSED_DATETIME": "%b"}
    fields = "".join(element(name, place, indent=12, raw=True) for name, place in before.items())
    fields += f"            <RESULTS>{cdata(text).replace('%', '%%')}</RESULTS>\n"
    fields += "".join(element(name, place, indent=12, raw=True) for name, place in after.items())
    return f"<DETECTION>\n{fields}          </DETECTION>".encode(), len(text)
