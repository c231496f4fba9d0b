"""Qualys by the YAML that is shipped: every detection in BigQuery once, under all that the vendor does."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows_platform.domain.windows import Window
from flows_platform.orchestration.resources import build_resources
from flows_platform.pipeline.fetch_window import FetchedWindow
from tests.components.qualys_rows import as_expected, detection_rows, vuln_rows
from tests.components.yaml_platform import YamlSource, failure, shipped
from tests.end_to_end.conftest import MakePlatform
from tests.fakes.qualys_objects import Detection, Host, hosts, hosts_of, vulns, vulns_of
from tests.fakes.qualys_server import QualysServer
from tests.fakes.serving import Fault

pytestmark = pytest.mark.slow

START = datetime(2024, 3, 1, tzinfo=UTC)
HOURS = timedelta(hours=3)
LAST = START + 3 * HOURS
END = "2024-03-01T12:00:00Z"
BOUNDS = ("[]", "[)", "(]", "()")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[QualysServer]:
    monkeypatch.setenv("QUALYS_USERNAME", "acme_ab12")
    monkeypatch.setenv("QUALYS_PASSWORD", "passwd")
    with QualysServer(keep_alive_every=3) as server:
        yield server


@pytest.fixture
def detections(server: QualysServer, make_platform: MakePlatform) -> YamlSource:
    return source("qualys_detections", server, make_platform)


def source(name: str, server: QualysServer, make_platform: MakePlatform) -> YamlSource:
    made = make_platform(qualys_url=server.origin, retry_attempts=4)
    return YamlSource(shipped(name, made.settings), made.settings, made.definitions, made.instance)


def arrived(source: YamlSource) -> list[dict[str, object]]:
    return as_expected(source.declaration, source.rows(str(source.declaration.key)))


def timed(number: int, *moments: datetime) -> Host:
    """A host with one detection updated at each moment."""
    head = b"<ID>%d</ID><LAST_SCAN_DATETIME>2024-01-01T00:00:00Z</LAST_SCAN_DATETIME>" % number
    return Host(number, head, tuple(_detection(nth, moment) for nth, moment in enumerate(moments)))


def _detection(nth: int, moment: datetime) -> Detection:
    at = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    qid = f"<QID>{nth + 1}</QID><TIMES_FOUND>1</TIMES_FOUND><STATUS>Active</STATUS>"
    xml = f"<DETECTION>{qid}<LAST_UPDATE_DATETIME>{at}</LAST_UPDATE_DATETIME></DETECTION>"
    return Detection(xml.encode(), at, "Active", "Confirmed", 0)


def kept(hosts: list[Host], keep: Callable[[Detection], bool]) -> list[Host]:
    return [host._replace(detections=tuple(filter(keep, host.detections))) for host in hosts]


def test_every_detection_of_some_windows_arrives_once_field_by_field(
    server: QualysServer, detections: YamlSource
) -> None:
    server.hosts = [*hosts(60, seed=7, start=START, days=1), timed(10**9, *(START + n * HOURS for n in range(5)))]
    run = detections.run(START, LAST)
    assert run.success
    assert detections.failed_checks(run) == []
    expected = detection_rows(detections.declaration, kept(server.hosts, lambda one: one.updated < END))
    assert len(expected) > 200
    assert arrived(detections) == expected
    assert untaken(detections) == [None]


def test_a_cut_answer_is_followed_to_its_end_and_the_wait_asked_for_is_kept(
    server: QualysServer, detections: YamlSource, caplog: pytest.LogCaptureFixture
) -> None:
    server.hosts = [timed(number, START) for number in range(1, 2051)]
    server.faults = {
        2: waiting(server.simple_return(409, 1965, "This API cannot be run again for another 2 seconds.")),
        4: waiting(server.simple_return(200, 1960, "This API cannot be run again until 1 instance has finished.")),
    }
    assert detections.run(START, START).success
    assert [record.message.partition("Trying")[2] for record in caplog.records] == [" again in 2.0 s."] * 2
    # A refused page alone is requested again; one refused by its document restarts the window.
    pages = [None, "1001", "2001"]
    asked = [request.parameters.get("id_min") for request in server.requests]
    assert asked == [None, "1001", *pages[1:], *pages]
    assert [row["host_id"] for row in detections.rows("host_id")] == list(range(1, 2051))
    assert detections.figures("2024-03-01-00:00")["rows"] == 2050


def waiting(fault: Fault) -> Fault:
    """The fault with a wait of two seconds, which is longer than our own first waits."""
    assert fault.answer
    return Fault(replace(fault.answer, headers=fault.answer.headers | {"X-RateLimit-ToWait-Sec": "2"}))


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "http://127.0.0.1:9"])
def test_a_next_page_elsewhere_is_refused(server: QualysServer, detections: YamlSource, origin: str) -> None:
    server.hosts = [timed(number, START) for number in range(1, 1002)]
    server.next_origin = origin
    run = detections.run(START, START)
    assert not run.success
    assert "the next page is on another origin" in failure(run)["2024-03-01-00:00"]
    assert len(server.requests) == 1
    assert detections.rows("host_id") == []


def test_an_error_that_does_not_pass_fails_its_window_alone(server: QualysServer, detections: YamlSource) -> None:
    server.hosts = [timed(number, START + n * HOURS) for n, number in enumerate((7, 8, 9))]
    server.faults[2] = server.simple_return(200, 2001, "Your subscription has expired & ended.")
    run = detections.run(START, START + 2 * HOURS)
    assert failure(run) == {
        "2024-03-01-03:00": "the API answers with an error 2001: Your subscription has expired & ended."
    }
    assert len(server.requests) == 3  # nothing was tried again
    assert [row["host_id"] for row in detections.rows("host_id")] == [7, 9]
    assert detections.run(START + HOURS, START + HOURS).success
    assert arrived(detections) == detection_rows(detections.declaration, server.hosts)


def test_every_reading_of_the_bounds_gives_the_same_rows(server: QualysServer, detections: YamlSource) -> None:
    second = timedelta(seconds=1)
    edges = [START + n * HOURS + step for n in range(3) for step in (-second, timedelta(0), second)]
    server.hosts = [timed(1, *edges)]
    inside = [edge for edge in edges if START <= edge < START + 2 * HOURS]
    for bounds in BOUNDS:
        server.bounds = bounds  # type: ignore[assignment] # one of the four
        assert detections.run(START, START + HOURS).success
        assert [row["updated_at"] for row in detections.rows("updated_at")] == inside


def test_a_detection_that_was_updated_moves_to_its_new_window(server: QualysServer, detections: YamlSource) -> None:
    first, later = START, START + 2 * HOURS
    server.hosts = [timed(1, first, first)]
    assert detections.run(START, later).success
    server.hosts = [timed(1, first, later)]
    # The new window alone: its row as it is now beside that of before, each in its own window.
    assert detections.run(later, later).success
    assert [(row["qid"], row["updated_at"]) for row in detections.rows("qid, updated_at")] == [
        (1, first),
        (2, first),
        (2, later),
    ]
    run = detections.run(START, later)  # as the look-back does
    assert detections.failed_checks(run) == []
    assert arrived(detections) == detection_rows(detections.declaration, server.hosts)


def test_windows_without_detections_are_empty_and_emptied(server: QualysServer, detections: YamlSource) -> None:
    server.hosts = [timed(1, START)]
    assert detections.run(START, START + HOURS).success
    assert len(arrived(detections)) == 1
    server.hosts = []
    assert detections.run(START, START + HOURS).success
    assert len(arrived(detections)) == 1  # until another pull says so too
    assert detections.run(START, START + HOURS, confirm=True).success
    assert arrived(detections) == []
    assert detections.figures("2024-03-01-00:00")["rows"] == 0


def test_the_knowledge_base_arrives_field_by_field(server: QualysServer, make_platform: MakePlatform) -> None:
    entries = source("qualys_knowledge_base", server, make_platform)
    server.vulns = vulns(80, seed=4, start=START, days=3)
    run = entries.run(START, START + timedelta(days=2))
    assert run.success
    assert entries.failed_checks(run) == []
    assert arrived(entries) == vuln_rows(entries.declaration, server.vulns)


def one_wide_window(source: YamlSource) -> FetchedWindow:
    """All of the source's time as one window: real records lie years apart."""
    window = Window(datetime(2000, 1, 1, tzinfo=UTC), START)
    with source.table.pipeline(*build_resources(source.settings)) as pipeline:
        pipeline.warehouse.ensure_table(pipeline.table)
        staged = pipeline.fetch(window)
        pipeline.publish(window, "test")
    return staged


def untaken(source: YamlSource) -> list[object]:
    """The fields that no column takes."""
    return [row["extra_fields"] for row in source.query(f"SELECT DISTINCT extra_fields FROM {source.name}")]


def test_the_real_detections_arrive_field_by_field(
    shared_data: Path, server: QualysServer, detections: YamlSource
) -> None:
    documents = [path.read_bytes() for path in sorted((shared_data / "qualys").glob("detections_*.xml"))]
    server.hosts = [host for document in documents for host in hosts_of(document)]
    expected = detection_rows(detections.declaration, kept(server.hosts, lambda one: bool(one.updated)))
    assert len(expected) > 10
    assert one_wide_window(detections).file.rejected == 0
    assert arrived(detections) == expected
    assert untaken(detections) == [None]


def test_the_real_knowledge_base_arrives_field_by_field(
    shared_data: Path, server: QualysServer, make_platform: MakePlatform
) -> None:
    entries = source("qualys_knowledge_base", server, make_platform)
    documents = [path.read_bytes() for path in sorted((shared_data / "qualys").glob("knowledgebase_*.xml"))]
    server.vulns = [vuln for document in documents for vuln in vulns_of(document)]
    assert len(server.vulns) > 40
    assert one_wide_window(entries).file.rejected == 0
    assert arrived(entries) == vuln_rows(entries.declaration, server.vulns)
    assert untaken(entries) == [None]
