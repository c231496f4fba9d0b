"""The arguments and environment of the platform's processes."""

from pathlib import Path

import pytest

from flows_platform.cli.commands.services import api_child
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import load_settings


def test_the_api_server_is_told_which_names_it_has(tmp_path: Path) -> None:
    argv = api_child(load_settings(home=tmp_path, allowed_hosts="flows.example.com, b.example.com:8443")).argv
    assert argv[argv.index("--allowed-hosts") + 1] == "flows.example.com, b.example.com:8443"
    assert "--allowed-hosts" not in api_child(load_settings(home=tmp_path)).argv


def test_the_ui_has_the_name_that_people_reach_it_by(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, allowed_hosts="a.example", dagster_url="https://ui.example:8443/dagster/")
    assert settings.ui_hosts == ("a.example", "ui.example:8443")
    assert settings.hosts == ("a.example",)


def test_a_name_that_is_none_is_told_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"FLOWS_ALLOWED_HOSTS.*'\*' is not the name of a host"):
        load_settings(home=tmp_path, allowed_hosts="ok.example,*")
