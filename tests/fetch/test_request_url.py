"""What a window's URL may bring with it, and what it must leave to the window."""

from pathlib import Path

import pytest

from flows_platform.domain.errors import ConfigurationError, TooManyRejects
from flows_platform.fetch.http import HttpClient
from flows_platform.fetch.windowed_api import WindowedApi
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.staging import stage_window
from flows_platform.stores.quarantine import quarantine_path, read_quarantine

from .flow_bodies import BOUNDS, json_body, row
from .scripted import ScriptedServer, answer


def test_a_url_with_credentials_is_refused_and_not_told() -> None:
    with pytest.raises(ConfigurationError, match="holds credentials") as refused:
        WindowedApi(url="https://user:canary@host.example/flows", schema=FLOWS).request_url(BOUNDS)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("name", ["scanned_after", "scanned_before", "format"])
def test_the_parameters_of_the_window_are_not_set_twice(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"already sets '{name}'"):
        WindowedApi(url=f"https://host.example/flows?{name}=", schema=FLOWS).request_url(BOUNDS)


def test_rejects_beyond_all_measure_end_the_fetch(
    client: HttpClient, server: ScriptedServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 5000  # several slices
    monkeypatch.setattr("flows_platform.staging.MORE_REJECTS", 3)
    server.scripts = [answer(json_body([row(number, byte_count="many") for number in range(sent)]))]
    with pytest.raises(TooManyRejects):
        stage_window(client, WindowedApi(url=server.url, schema=FLOWS), BOUNDS, target, tries=1)
    assert 3 < len(list(read_quarantine(quarantine_path(target)))) < sent
