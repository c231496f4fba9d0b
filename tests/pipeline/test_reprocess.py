"""Quarantined records cast again after a fix: the good ones join the window file, nothing is fetched or lost."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows_platform.declared import Secret
from flows_platform.domain.errors import ConfigurationError, InputError, SourceRefused, TooManyRejects
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.auth import Bearer
from flows_platform.fetch.http.client import HttpClient
from flows_platform.pipeline.fetch_window import fetch_window
from flows_platform.pipeline.reprocess import Reprocessed, reprocess_quarantine
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.window_files.parquet import footer_of
from flows_platform.window_files.quarantine import quarantine_path, read_quarantine
from tests.fetch.flow_bodies import BOUNDS, json_body, row
from tests.fetch.scripted import ScriptedServer, answer

EXTRA = Column("extra", ColumnType.STRING, "Fields unknown to the schema, as JSON.", nullable=True)
WIDER = replace(FLOWS, columns=(*FLOWS.columns, EXTRA))
NULLABLE = replace(
    FLOWS, columns=tuple(replace(column, nullable=column.name == "byte_count") for column in FLOWS.columns)
)
ROWS = [row(1), row(2, byte_count=None), row(3), row(4, time=5000), row(5, byte_count=None, packet_count=5.0)]


def api(server: ScriptedServer, schema: TableSchema = FLOWS, **changes: object) -> WindowedApi:
    return WindowedApi(url=server.url, schema=schema, **changes)  # type: ignore[arg-type]


@pytest.fixture
def window_file(client: HttpClient, server: ScriptedServer, target: Path) -> Path:
    server.scripts = [answer(json_body(ROWS))]
    assert fetch_window(client, api(server), BOUNDS, target, max_rejected=3, tries=1).file.rejected == 3
    return target


def ids(target: Path) -> list[int]:
    return [int(number) for number in pq.read_table(target).column("id").to_pylist()]


def test_records_that_fit_after_a_fix_are_merged(server: ScriptedServer, window_file: Path) -> None:
    seen: list[int] = []
    reprocessed = reprocess_quarantine(
        api(server, NULLABLE), BOUNDS, window_file, progress=lambda done, _: seen.append(done)
    )
    assert reprocessed == Reprocessed(window_file, rows=4, recovered=2, deduplicated=0, rejected=1)
    assert ids(window_file) == [1, 3, 2, 5]
    assert pq.read_table(window_file).to_pylist()[3] == row(5, byte_count=None, packet_count=5)
    (left,) = read_quarantine(quarantine_path(window_file))
    assert (left.position, left.reason) == (4, "time 5000 is outside the window [1, 100)")
    assert footer_of(window_file).rejected == 1
    assert (seen, len(server.requests)) == ([3], 1)


def test_reprocessing_without_a_fix_changes_nothing(server: ScriptedServer, window_file: Path) -> None:
    before = quarantine_path(window_file).read_bytes()
    assert reprocess_quarantine(api(server), BOUNDS, window_file) == Reprocessed(window_file, 2, 0, 0, 3)
    assert (ids(window_file), quarantine_path(window_file).read_bytes()) == ([1, 3], before)


def test_reprocessing_may_be_repeated(server: ScriptedServer, window_file: Path) -> None:
    again = [reprocess_quarantine(api(server, NULLABLE), BOUNDS, window_file) for _ in range(3)]
    assert [reprocessed.recovered for reprocessed in again] == [2, 0, 0]
    assert sorted(ids(window_file)) == [1, 2, 3, 5]


def test_reprocessing_killed_between_its_two_files_converges(server: ScriptedServer, window_file: Path) -> None:
    before = quarantine_path(window_file).read_bytes()
    reprocess_quarantine(api(server, NULLABLE), BOUNDS, window_file)
    quarantine_path(window_file).write_bytes(before)  # the window file was replaced, the quarantine was not
    reprocessed = reprocess_quarantine(api(server, NULLABLE), BOUNDS, window_file)
    assert (reprocessed.rows, reprocessed.recovered, reprocessed.deduplicated, reprocessed.rejected) == (4, 0, 2, 1)
    assert footer_of(window_file).reprocessed == hashlib.sha256(before).hexdigest()  # killed again, it converges again
    assert sorted(ids(window_file)) == [1, 2, 3, 5]


def test_when_nothing_is_left_the_quarantine_goes(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [answer(json_body([row(1), row(2, byte_count=None)]))]
    fetch_window(client, api(server), BOUNDS, target, max_rejected=1, tries=1)
    assert reprocess_quarantine(api(server, NULLABLE), BOUNDS, target).rejected == 0
    assert list(target.parent.iterdir()) == [target]
    assert reprocess_quarantine(api(server, NULLABLE), BOUNDS, target) == Reprocessed(target, 2, 0, 0, 0)


def test_the_quarantine_of_a_later_failed_fetch_is_not_merged(
    client: HttpClient, server: ScriptedServer, window_file: Path
) -> None:
    server.scripts = [answer(json_body([row(number, byte_count=None) for number in range(1, 9)]))]
    with pytest.raises(TooManyRejects):
        fetch_window(client, api(server), BOUNDS, window_file, tries=1)
    with pytest.raises(InputError, match="does not belong to"):
        reprocess_quarantine(api(server, NULLABLE), BOUNDS, window_file)
    assert ids(window_file) == [1, 3]


def test_without_a_window_file_there_is_nothing_to_merge_into(server: ScriptedServer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Fetch the window first"):
        reprocess_quarantine(api(server), BOUNDS, tmp_path / "none.parquet")


def test_a_recovered_record_that_contradicts_a_row_is_refused(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    server.scripts = [answer(json_body([row(1), row(1, byte_count=None)]))]
    fetch_window(client, api(server), BOUNDS, target, max_rejected=1, tries=1)
    with pytest.raises(SourceRefused, match="id 1 and differ"):
        reprocess_quarantine(api(server, NULLABLE), BOUNDS, target)
    assert (ids(target), len(list(target.parent.iterdir()))) == ([1], 2)


def test_a_record_with_a_masked_secret_stays(client: HttpClient, server: ScriptedServer, target: Path) -> None:
    server.scripts = [answer(json_body([row(1), row(2, byte_count=None, src_comp="canary-7")]))]
    keyed: dict[str, Any] = {"auth": Bearer(token=Secret(env="KEY")), "secrets": {"KEY": "canary-7"}}
    declared = api(server, **keyed)
    fetch_window(client, declared, BOUNDS, target, max_rejected=1, tries=1)
    reprocessed = reprocess_quarantine(api(server, NULLABLE, **keyed), BOUNDS, target)
    assert (reprocessed.recovered, reprocessed.rejected) == (0, 1)
    assert b"canary-7" not in quarantine_path(target).read_bytes()


def test_unknown_fields_are_kept_as_json_where_declared(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    rows = [row(1), row(2, colour="rot\ud800", size={"a": [1.50, None, 2**70]}), row(3, extra="mine")]
    server.scripts = [answer(json_body(rows))]
    fetched = fetch_window(client, api(server, WIDER, extra_column="extra"), BOUNDS, target, tries=1)
    assert fetched.file.rows == 3
    assert pq.read_table(target).column("extra").to_pylist() == [
        None,
        '{"colour":"rot\\ud800","size":{"a":[1.5,null,1180591620717411303424]}}',
        '{"extra":"mine"}',
    ]


def test_unknown_fields_refused_yesterday_are_recovered_by_keeping_them(
    client: HttpClient, server: ScriptedServer, target: Path
) -> None:
    server.scripts = [answer(json_body([row(1), row(2, colour="red")]))]
    narrow = api(server, WIDER)
    fetch_window(client, narrow, BOUNDS, target, max_rejected=2, tries=1)
    assert reprocess_quarantine(api(server, WIDER, extra_column="extra"), BOUNDS, target).recovered == 1


@pytest.mark.parametrize("name", ["id", "src_comp", "nothing"])
def test_the_extra_column_must_be_able_to_keep_fields(server: ScriptedServer, name: str) -> None:
    with pytest.raises(ConfigurationError, match="not a nullable text column"):
        api(server, FLOWS, extra_column=name)
