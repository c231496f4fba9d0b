"""A store of each kind: in a folder, at two servers of S3's protocol, and at one of Google Cloud Storage's."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.fakes.gcs_server import GcsServer
from tests.fakes.s3_servers import BUCKET, KEY_ID, SECRET, moto, seaweed

type Services = Callable[[str], str]

_numbers = count()
KINDS = ["file", "moto", "gcs", pytest.param("seaweed", marks=pytest.mark.slow)]


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The endpoint of a service, which starts when it is first asked for and ends with the session."""
    started: dict[str, str] = {}
    with ExitStack() as stack:

        def endpoint(kind: str) -> str:
            if kind not in started:
                folder = tmp_path_factory.mktemp(kind)
                if kind == "gcs":
                    started[kind] = stack.enter_context(GcsServer(BUCKET)).origin
                else:
                    started[kind] = stack.enter_context({"moto": moto, "seaweed": seaweed}[kind](folder))
            return started[kind]

        yield endpoint


@pytest.fixture
def s3_variables(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the variables of AWS, for an endpoint."""

    def set_variables(endpoint: str) -> None:
        for name, text in {"ACCESS_KEY_ID": KEY_ID, "SECRET_ACCESS_KEY": SECRET, "ENDPOINT_URL": endpoint}.items():
            monkeypatch.setenv(f"AWS_{name}", text)

    return set_variables


@pytest.fixture(params=KINDS)
def store_url(
    request: pytest.FixtureRequest,
    services: Services,
    s3_variables: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> str:
    """The URL of an empty store; one after the other of each kind."""
    kind = str(request.param)
    if kind == "file":
        return (tmp_path / "archive").as_uri()
    if kind == "gcs":
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", services(kind))
    else:
        s3_variables(services(kind))
    return f"{'gs' if kind == 'gcs' else 's3'}://{BUCKET}/run-{next(_numbers)}/archive"
