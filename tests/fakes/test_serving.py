"""What all fake servers share: faults hit the request they are for, and no mistake of a test stays hidden."""

from http.client import HTTPConnection, IncompleteRead
from urllib.parse import urlsplit

import pytest
import urllib3
from urllib3.exceptions import HTTPError

from .serving import Answer, Asked, Fault, ManualClock, RollingBudget, VendorServer


class Letters(VendorServer):
    """Ten pieces of ten letters, or all at once."""

    def answer(self, asked: Asked) -> Answer:
        self.page_fixed()
        pieces = [letter.encode() * 10 for letter in "abcdefghij"]
        return Answer(body=b"".join(pieces) if asked.path == "/whole" else iter(pieces))


@pytest.mark.parametrize("path", ["/whole", "/pieces"])
@pytest.mark.parametrize("after", [0, 1, 55, 99])
def test_a_cut_body_ends_after_so_many_bytes_and_is_seen_as_cut(
    client: urllib3.PoolManager, clock: ManualClock, path: str, after: int
) -> None:
    with Letters(clock) as server:
        server.faults[2] = Fault(cut_after=after)
        assert len(client.request("GET", server.origin + path).data) == 100
        connection = HTTPConnection(urlsplit(server.origin).netloc)
        connection.request("GET", path)
        with pytest.raises(IncompleteRead) as cut, connection.getresponse() as response:
            response.read()
        connection.close()
        assert len(cut.value.partial) == after
        assert len(client.request("GET", server.origin + path).data) == 100
    assert [asked.number for asked in server.requests] == [1, 2, 3]


def test_another_answer_instead_is_no_page(client: urllib3.PoolManager, clock: ManualClock) -> None:
    pages: list[int] = []
    with Letters(clock) as server:
        server.on_page = pages.append
        server.faults[1] = Fault(Answer(503))
        assert [client.request("GET", server.origin).status for _ in range(3)] == [503, 200, 200]
    assert pages == [1, 2]
    assert [asked.status for asked in server.requests] == [503, 200, 200]


def test_a_mistake_in_a_hook_fails_the_block(client: urllib3.PoolManager, clock: ManualClock) -> None:
    def mistaken(page: int) -> None:
        raise ZeroDivisionError(page)

    with pytest.RaisesGroup(ZeroDivisionError), Letters(clock) as server:
        server.on_page = mistaken
        with pytest.raises(HTTPError):
            client.request("GET", server.origin)


def test_the_server_is_gone_after_its_block(client: urllib3.PoolManager, clock: ManualClock) -> None:
    with Letters(clock) as server:
        client.request("GET", server.origin)  # this connection is kept alive
    with pytest.raises(HTTPError):
        client.request("GET", server.origin)


def test_a_budget_rolls(clock: ManualClock) -> None:
    budget = RollingBudget(2, 30, clock)
    waits = []
    for step in (0, 10, 5, 15, 0, 10):
        clock.now += step
        waits.append(budget.take())
    assert waits == [0, 0, 15, 0, 10, 0]
    assert budget.remaining == 0
