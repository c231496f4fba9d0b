"""How many records of a window may be rejected, by number and by share; far above that, the fetch stops."""

import json
from pathlib import Path

import pytest

from flows_platform.declared import Secret
from flows_platform.domain.errors import TooManyRejects
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.http.client import HttpClient
from flows_platform.pipeline.fetch_window import fetch_window
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.window_files.quarantine import quarantine_path, read_quarantine
from tests.fetch.flow_bodies import BOUNDS, json_body, row
from tests.fetch.scripted import ScriptedServer, answer

ROWS = [row(number, byte_count=number if number < 3 else None) for number in range(1, 6)]


@pytest.mark.parametrize(("number", "share"), [(9, 1.0), (9, 0.6)])
def test_as_many_rejects_as_allowed_are_quarantined(
    client: HttpClient, server: ScriptedServer, target: Path, number: int, share: float
) -> None:
    server.scripts = [answer(json_body(ROWS))]
    api = WindowedApi(url=server.url, schema=FLOWS)
    fetched = fetch_window(client, api, BOUNDS, target, max_rejected=number, max_rejected_share=share, tries=1)
    assert fetched.file.rejected == 3


@pytest.mark.parametrize(("number", "share"), [(2, 1.0), (9, 0.5)])
def test_more_rejects_than_allowed_are_refused(
    client: HttpClient, server: ScriptedServer, target: Path, number: int, share: float
) -> None:
    server.scripts = [answer(json_body(ROWS))]
    api = WindowedApi(url=server.url, schema=FLOWS)
    with pytest.raises(TooManyRejects, match=r"3 records .* 2 are allowed"):
        fetch_window(client, api, BOUNDS, target, max_rejected=number, max_rejected_share=share, tries=1)


def test_far_too_many_rejects_end_the_fetch(
    client: HttpClient, server: ScriptedServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 5000  # several slices
    monkeypatch.setattr("flows_platform.pipeline.fetch_window.MORE_REJECTS", 3)
    server.scripts = [answer(json_body([row(number, byte_count="many") for number in range(sent)]))]
    with pytest.raises(TooManyRejects):
        fetch_window(client, WindowedApi(url=server.url, schema=FLOWS), BOUNDS, target, tries=1)
    assert 3 < len(list(read_quarantine(quarantine_path(target)))) < sent


@pytest.mark.parametrize("secret", ["", "hush-hush"])
def test_each_of_many_rejects_is_kept_as_it_was_sent(
    client: HttpClient, server: ScriptedServer, target: Path, secret: str
) -> None:
    sent = [row(number, byte_count=f"many hush-hush {number}") for number in range(600)]
    server.scripts = [answer(json_body(sent))]
    api = WindowedApi(url=server.url, schema=FLOWS, headers={"X-Key": Secret(env="KEY")}, secrets={"KEY": secret})
    with pytest.raises(TooManyRejects, match=r"600 records .* the first is record 1: byte_count"):
        fetch_window(client, api, BOUNDS, target, tries=1)
    kept = list(read_quarantine(quarantine_path(target)))
    expected = [row(number, byte_count=f"many {'***' if secret else 'hush-hush'} {number}") for number in range(600)]
    assert [json.loads(reject.raw) for reject in kept] == expected
    assert [reject.position for reject in kept] == list(range(1, 601))
    assert {reject.redacted for reject in kept} == {bool(secret)}
    assert not any("hush" in reject.reason for reject in kept) or not secret
