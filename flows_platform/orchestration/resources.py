"""Dagster's resources. They hold no secrets: those are read from the environment when they are used."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from flows_platform.domain.errors import ConfigurationError
from flows_platform.fetch.http.client import HttpClient, HttpLimits
from flows_platform.fetch.http.proxies import Proxies
from flows_platform.fetch.http.rate_limit import RateGate
from flows_platform.settings import Settings, load_settings

if TYPE_CHECKING:
    from dagster_gcp import BigQueryResource
    from google.cloud.bigquery import Client

    from flows_platform.fetch.api import WindowedApi
    from flows_platform.warehouse.warehouse import Warehouse


class FetchResource(dg.ConfigurableResource):
    """Timeouts, tries and limits of fetching, for every source.

    `own_servers` are HOST:PORT of the platform's own servers, which no proxy of the environment is asked for.
    """

    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    deadline: float = 3600.0
    minimum_rate: int = 1024
    tries: int = 5
    max_rejected: int = 1000
    max_rejected_share: float = 0.1
    own_servers: list[str] = []  # noqa: RUF012 - pydantic copies it

    @contextmanager
    def client(self, api: "WindowedApi", gate: RateGate | None = None) -> Iterator[HttpClient]:
        """An HTTP client of the API for one run, within the budget of `gate`.

        Raises:
            ConfigurationError: a file that the API's `tls` names cannot be read or used.
        """
        limits = HttpLimits(
            connect=self.connect_timeout, read=self.read_timeout, total=self.deadline, rate=self.minimum_rate
        )
        proxies = Proxies.of_environment(self.own_servers)
        client = HttpClient(limits, gate=gate, tls=api.tls_context(), proxies=proxies)
        try:
            yield client
        finally:
            client.close()


class WarehouseResource(dg.ConfigurableResource):
    """BigQuery through dagster-gcp, or the emulator where `emulator_url` is set."""

    project: str
    dataset: str
    location: str
    locks: str
    emulator_url: str = ""
    emulator_key_file: str = ""
    tries: int = 5
    deadline: float = 1800.0

    @contextmanager
    def warehouse(self) -> Iterator["Warehouse"]:
        """The dataset, with a client for one run."""
        if self.emulator_url:
            with closing(self._emulator_client()) as client:
                yield self._open(client)
            return
        # Imported here: dagster_gcp takes 4 s, too long for loading the definitions.
        from dagster_gcp import BigQueryResource  # noqa: PLC0415

        credentials = load_settings().bigquery_credentials
        resource = BigQueryResource(
            project=self.project,
            location=self.location,
            gcp_credentials=credentials.get_secret_value() if credentials else None,
        )
        with ExitStack() as stack:
            yield self._open(_entered(stack, resource))

    def _emulator_client(self) -> "Client":
        from flows_platform.warehouse.warehouse import emulator_client  # noqa: PLC0415 - as above

        return emulator_client(self.emulator_url, self.project, self.location, Path(self.emulator_key_file))

    def _open(self, client: "Client") -> "Warehouse":
        from flows_platform.warehouse.warehouse import Warehouse  # noqa: PLC0415 - as above

        return Warehouse(
            client, self.dataset, self.location, Path(self.locks), attempts=self.tries, deadline=self.deadline
        )


def _entered(stack: ExitStack, resource: "BigQueryResource") -> "Client":
    """BigQuery's client; `stack` closes it.

    Raises:
        ConfigurationError: there are no credentials, or the setting does not hold a key.
    """
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - as above

    from flows_platform.warehouse.clients import CREDENTIALS  # noqa: PLC0415 - as above

    try:
        return stack.enter_context(resource.get_client())
    # The setting is not base64, not JSON or not a key, or credentials are set in two ways.
    except (GoogleAuthError, ValueError, dg.DagsterInvalidDefinitionError) as error:
        raise ConfigurationError(
            f"the credentials of BigQuery cannot be used: {error}.".replace("..", "."), remedy=CREDENTIALS
        ) from None  # a chained error might show them


class Resources(NamedTuple):
    """All resources, by the names that assets use."""

    fetch: FetchResource
    warehouse: WarehouseResource


def build_resources(settings: Settings) -> Resources:
    """The resources for these settings."""
    return Resources(
        fetch=FetchResource(
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            deadline=settings.fetch_deadline,
            minimum_rate=settings.minimum_rate,
            tries=settings.retry_attempts,
            max_rejected=settings.max_rejected,
            max_rejected_share=settings.max_rejected_share,
            own_servers=[f"{settings.api_host}:{settings.api_port}"],
        ),
        warehouse=WarehouseResource(
            project=settings.warehouse_project,
            dataset=settings.bigquery_dataset,
            location=settings.bigquery_location,
            locks=str(settings.files.locks),
            emulator_url=settings.emulator_url,
            emulator_key_file=str(settings.emulator_key),
            tries=settings.retry_attempts,
            deadline=settings.publish_deadline,
        ),
    )


@cache
def shared_resources(settings: Settings) -> dict[str, object]:
    """The resources by their names, the same objects each time: Dagster merges only those."""
    return build_resources(settings)._asdict()
