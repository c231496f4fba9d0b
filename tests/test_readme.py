"""README.md is short, its YAML is a source, and `flows source try` prints what it shows."""

import json
import re
from pathlib import Path

import pytest

from flows_platform.cli.commands.source_try import run_try
from tests.fakes.serving import Answer, Asked, VendorServer

TEXT = (Path(__file__).resolve().parents[1] / "README.md").read_text()
URL = "https://feed.example"
KEY = "2024-03-01-00:00"


class Feed(VendorServer):
    """The API of the README: two pages, of which one record lacks its time and all have a field without a column."""

    def answer(self, asked: Asked) -> Answer:
        assert asked.headers["authorization"] == "Bearer feed-token"
        first = "page" not in asked.parameters
        numbers = range(200) if first else range(200, 240)
        records = [
            {"id": f"s-{number}", "seen_at": "2024-03-01T01:00:00Z", "indicator": {"address": "10.0.0.1"}, "tags": []}
            for number in numbers
        ]
        if not first:
            records[-1]["seen_at"] = ""
        following = f"{self.origin}/v1/sightings?page=2" if first else None
        body = json.dumps({"records": records, "next": following}).encode()
        return Answer(200, {"Content-Type": "application/json"}, body)


def test_it_has_at_most_150_lines() -> None:
    assert len(TEXT.splitlines()) <= 150


def test_the_yaml_has_15_lines_and_try_prints_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (yaml,) = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert len(yaml.splitlines()) == 15
    monkeypatch.setenv("FEED_TOKEN", "feed-token")
    monkeypatch.setenv("FLOWS_HOME", str(tmp_path / "home"))
    path = tmp_path / "sightings.yaml"
    with Feed(clock=lambda: 0.0) as server:
        path.write_text(yaml.replace(URL, server.origin))
        assert run_try(str(path), KEY, limit=None, out=None, as_json=False) == 0
        printed = capsys.readouterr().out.replace(server.origin, URL)
    assert f"```\n{printed}```" in TEXT, f"put this into README.md:\n{printed}"
