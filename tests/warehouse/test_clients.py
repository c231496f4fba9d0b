"""BigQuery's client, for runs by dagster-gcp and for reports without it; its key is shown nowhere."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.oauth2.service_account import Credentials

from flows_platform.cli.commands.report_engine import report_engine
from flows_platform.domain.errors import ConfigurationError
from flows_platform.orchestration.resources import build_resources
from flows_platform.settings import Settings, load_settings
from flows_platform.warehouse.clients import project_client

ACCOUNT = "reader@canary-project.iam.gserviceaccount.com"


@pytest.fixture(scope="module")
def key() -> str:
    """A service account's key, as the setting has it."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {
        "type": "service_account",
        "client_email": ACCOUNT,
        "private_key": pem,
        "token_uri": "https://oauth2.example/token",
    }
    return base64.b64encode(json.dumps(account).encode()).decode()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> Settings:
    """Those of a project with a key, beside other credentials of the environment that cannot be used."""
    monkeypatch.setenv("FLOWS_BIGQUERY_PROJECT", "canary-project")
    monkeypatch.setenv("FLOWS_BIGQUERY_CREDENTIALS", key)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    return load_settings(home=tmp_path)


def email(credentials: object) -> str:
    assert isinstance(credentials, Credentials)
    return str(credentials.service_account_email)


def test_reports_use_the_key_alone(settings: Settings) -> None:
    client = report_engine(settings).client
    assert (client.project, client.location) == ("canary-project", settings.bigquery_location)
    assert email(client._credentials) == ACCOUNT


def test_runs_use_the_key(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    with build_resources(settings).warehouse.warehouse() as warehouse:
        assert (warehouse.client.project, warehouse.client.location) == ("canary-project", settings.bigquery_location)
        assert email(warehouse.client._credentials) == ACCOUNT


def test_two_keys_of_a_run_are_an_error(settings: Settings) -> None:
    with (
        pytest.raises(ConfigurationError, match="FLOWS_BIGQUERY_CREDENTIALS"),
        build_resources(settings).warehouse.warehouse(),
    ):
        pass


def wrong(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("given", ["%%%", wrong("canary"), wrong('["canary"]'), wrong('{"private_key": "canary"}')])
def test_a_key_that_is_none_is_not_shown(given: str) -> None:
    with pytest.raises(ConfigurationError, match="FLOWS_BIGQUERY_CREDENTIALS") as caught:
        project_client("p", "US", given)
    assert caught.value.__cause__ is None
    assert "canary" not in str(caught.value)


def test_credentials_of_the_environment_that_are_missing_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    with pytest.raises(ConfigurationError, match=r"absent\.json"):
        project_client("p", "US", None)
