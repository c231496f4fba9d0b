"""The doctor's line on the database of CVEs: missing, filled, unreachable."""

from pathlib import Path

import pytest

from flows_platform.cli.commands.doctor import CHECKS
from flows_platform.domain.errors import PlatformError, WarehouseUnavailable
from flows_platform.settings import load_settings
from tests.api_server.conftest import build_cves
from tests.sources.nvd_cves.cve_objects import cve

LOOK = CHECKS["CVE database"]


def test_a_file_that_nothing_filled_yet_is_no_fault(tmp_path: Path) -> None:
    assert "nvd_full_load" in LOOK(load_settings(home=tmp_path))
    with pytest.raises(PlatformError, match="CVE database says"):
        LOOK(load_settings(home=tmp_path, sql_url=f"sqlite:///{tmp_path}/other.db"))


def test_it_says_how_many_there_are_and_how_new(tmp_path: Path) -> None:
    made = [cve(1), cve(2)]
    url = build_cves(tmp_path / "cves.db", made)()
    newest = max(cve["lastModified"] for cve in made)[:19]
    assert LOOK(load_settings(home=tmp_path, sql_url=url)).endswith(f"cves.db, 2 CVEs, the last modified at {newest}Z")


def test_one_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(WarehouseUnavailable) as caught:
        LOOK(load_settings(home=tmp_path, sql_url="postgresql://u:canary@127.0.0.1:9/d"))
    assert "127.0.0.1:9/d" in str(caught.value)
    assert "canary" not in str(caught.value)
