"""How many records a window may set aside, by number and by share; far beyond that, the rest is not fetched."""

from pathlib import Path

import pytest

from flows_platform.domain.errors import TooManyRejects
from flows_platform.fetch.http import HttpClient
from flows_platform.fetch.windowed_api import WindowedApi
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.staging import stage_window
from flows_platform.stores.quarantine import quarantine_path, read_quarantine

from .flow_bodies import BOUNDS, json_body, row
from .scripted import ScriptedServer, answer

ROWS = [row(number, byte_count=number if number < 3 else None) for number in range(1, 6)]


@pytest.mark.parametrize(("number", "share"), [(9, 1.0), (9, 0.6)])
def test_as_many_rejects_as_allowed_are_set_aside(
    client: HttpClient, server: ScriptedServer, target: Path, number: int, share: float
) -> None:
    server.scripts = [answer(json_body(ROWS))]
    api = WindowedApi(url=server.url, schema=FLOWS)
    staged = stage_window(client, api, BOUNDS, target, max_rejected=number, max_rejected_share=share, tries=1)
    assert staged.rejected == 3


@pytest.mark.parametrize(("number", "share"), [(2, 1.0), (9, 0.5)])
def test_more_rejects_than_allowed_are_refused(
    client: HttpClient, server: ScriptedServer, target: Path, number: int, share: float
) -> None:
    server.scripts = [answer(json_body(ROWS))]
    api = WindowedApi(url=server.url, schema=FLOWS)
    with pytest.raises(TooManyRejects, match=r"3 records .* 2 are allowed"):
        stage_window(client, api, BOUNDS, target, max_rejected=number, max_rejected_share=share, tries=1)


def test_rejects_beyond_all_measure_end_the_fetch(
    client: HttpClient, server: ScriptedServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 5000  # several slices
    monkeypatch.setattr("flows_platform.staging.MORE_REJECTS", 3)
    server.scripts = [answer(json_body([row(number, byte_count="many") for number in range(sent)]))]
    with pytest.raises(TooManyRejects):
        stage_window(client, WindowedApi(url=server.url, schema=FLOWS), BOUNDS, target, tries=1)
    assert 3 < len(list(read_quarantine(quarantine_path(target)))) < sent
