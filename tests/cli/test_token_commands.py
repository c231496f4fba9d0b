"""`flows token`: what is created, what is refused before it is, and the rotation of keys."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api_server.http.token_keys import keys_beside, read_keys
from api_server.http.tokens import Scope, read_tokens
from flows_platform.cli.commands import token, token_reports
from flows_platform.domain.errors import ConfigurationError
from tests.api_server.customer_reports import REPORTS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    left_out = {"of_nothing": "r.yaml:7: sql: not SELECT.", "of_customer": "r.yaml:9: another report has this name."}
    monkeypatch.setattr(token_reports, "_declared", lambda: ({report.name: report for report in REPORTS}, left_out))


def test_a_token_of_a_report_with_a_fixed_parameter(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = datetime.now(UTC)
    token.create("ann", ["reports:of_customer"], file, fixed=["customer=ann=x", "kinds=a,b"], expires="30d")
    assert capsys.readouterr().out.startswith("flows_")
    (entry,) = read_tokens(file)
    assert (entry.scopes, entry.fixed) == (("reports:of_customer",), {"customer": "ann=x", "kinds": "a,b"})
    assert timedelta(days=29) < datetime.fromisoformat(entry.expires) - begun < timedelta(days=31)
    token.create("wide", [], file, fixed=["customer=ann"])
    token.create("all", [], file, expires="2999-01-01")
    token.show(file)
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines() if "\t" in line]
    assert [line[1] for line in lines] == ["reports:of_customer", "reports:read", " ".join(Scope)]
    assert [line[3] for line in lines][1:] == ["-", "2999-01-01T00:00:00+00:00"]
    assert [line[4] for line in lines] == ["customer=ann=x kinds=a,b", "customer=ann", "-"]


@pytest.mark.parametrize(
    ("scopes", "fixed", "expires", "said"),
    [
        (["report:read"], [], None, "there is no scope 'report:read'; did you mean reports:read?"),
        (["reports:of_nothing"], [], None, r"the report of_nothing is not served\..*r.yaml:7: sql: not SELECT"),
        (["reports:of_custmer"], [], None, "there is no report 'of_custmer'; did you mean of_customer?"),
        ([], ["custmer=ann"], None, "reports:read opens has the parameter custmer; did you mean customer?"),
        (["reports:of_all"], ["customer=a"], None, "no report that reports:of_all opens has the parameter customer"),
        (["reports:of_all", "reports:of_customer"], ["customer=a"], None, "reports:of_all opens"),
        (["reports:of_all"], ["top=101"], None, r"--with top=101: top is '101'\. Allowed: a whole number"),
        ([], ["customer"], None, "--with 'customer' fixes nothing"),
        ([], ["=ann"], None, "--with '=ann' fixes nothing"),
        ([], ["top=1", "top=2"], None, "--with top is given twice"),
        (["flows:read", "reports:read"], ["customer=a"], None, "flows:read opens something else"),
        ([], [], "tomorrow", "--expires 'tomorrow' is not a time"),
        ([], [], "0d", "--expires '0d' is not a time"),
        ([], [], "99999999d", "--expires '99999999d' is not a time"),
        ([], [], "2020-01-01", "--expires '2020-01-01' has passed"),
    ],
)
def test_mistakes_are_named(file: Path, scopes: list[str], fixed: list[str], expires: str | None, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        token.create("x", scopes, file, fixed=fixed, expires=expires)
    assert not file.exists()


@pytest.mark.slow
def test_the_shipped_reports_are_known(tmp_path: Path) -> None:
    def flows_token(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "FLOWS_HOME": str(tmp_path)}
        argv = [sys.executable, "-m", "flows_platform", "token", *words]
        return subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)

    wrong = flows_token("create", "c17", "--scope", "reports:computer_trafic", "--with", "computer=C17")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "there is no report 'computer_trafic'; did you mean computer_traffic?" in wrong.stderr
    made = flows_token("create", "c17", "--scope", "reports:computer_traffic", "--with", "computer=C17")
    assert (made.returncode, made.stdout.startswith("flows_")) == (0, True), made.stderr
    assert "reports:computer_traffic\t" in flows_token("list").stdout
    assert flows_token("rotate").returncode == 0
    assert (tmp_path / "tokens.keys").exists()


def test_a_rotation_keeps_two_keys(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        token.rotate(file)
    assert len(read_keys(keys_beside(file))) == 2
    assert "tokens.keys has a new key" in capsys.readouterr().out
