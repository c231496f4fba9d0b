"""Creates the dataset and the tables over REST, and refuses existing ones that differ."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from flows_platform.domain.errors import ConfigurationError, PlatformError, WarehouseError
from flows_platform.domain.schema import WarehouseTable
from flows_platform.warehouse.errors import warehouse_errors
from flows_platform.warehouse.jobs import NEVER, ONCE, REQUEST_TIMEOUT, Deadline
from flows_platform.warehouse.schema import differences, identifier, schema_field, target_table


def ensure_dataset(client: bigquery.Client, reference: bigquery.DatasetReference, location: str) -> None:
    """Create the dataset if it is absent. Reads first: an account may use a dataset without the right to create one.

    Raises:
        ConfigurationError: the dataset is in another location, where jobs would not find it.
    """
    with warehouse_errors(f"creating the dataset {reference.dataset_id}"):
        try:
            found = client.get_dataset(reference, retry=ONCE, timeout=REQUEST_TIMEOUT)
        except NotFound:
            wanted = bigquery.Dataset(reference)
            wanted.location = location
            found = client.create_dataset(wanted, exists_ok=True, retry=ONCE, timeout=REQUEST_TIMEOUT)
    # guard: a dataset elsewhere is refused
    if (found.location or location).upper() != location.upper():
        raise ConfigurationError(
            f"the dataset {reference.dataset_id} is in {found.location}, not in {location}.",
            remedy=f"Set the warehouse's location to {found.location}, or use another dataset.",
        )


def ensure_target(client: bigquery.Client, dataset: bigquery.DatasetReference, table: WarehouseTable) -> None:
    """Create the table if it is absent; an existing table is never altered.

    Raises:
        WarehouseError: the table exists with other columns, partitioning or clustering.
    """
    declared = target_table(dataset.table(table.name), table)
    with warehouse_errors(f"creating the table {table.name}"):
        try:
            found = client.get_table(declared.reference, retry=ONCE, timeout=REQUEST_TIMEOUT)
        except NotFound:
            client.create_table(declared, exists_ok=True, retry=ONCE, timeout=REQUEST_TIMEOUT)
            found = client.get_table(declared.reference, retry=ONCE, timeout=REQUEST_TIMEOUT)
    # guard: a table that differs is refused
    if different := "; ".join(differences(declared, found)):
        raise WarehouseError(
            f"the table {dataset.dataset_id}.{table.name} is not as declared: {different}.",
            remedy="Rename it, or use another dataset; the platform never alters a table.",
        )


MARK = "__staging_"

logger = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The wall clock, for expiry times only."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Staging:
    """The staging tables of one dataset; one that a killed run left behind expires after `expiry`."""

    client: bigquery.Client
    dataset: bigquery.DatasetReference
    expiry: timedelta = timedelta(hours=6)
    now: Callable[[], datetime] = utc_now
    deadline: Deadline = NEVER

    @contextmanager
    def table(self, table: WarehouseTable) -> Iterator[str]:
        """Create an empty staging table with the schema's columns, yield its name, and drop it at the end."""
        name = f"{identifier(table.name)}{MARK}{uuid4().hex}"
        fields = [schema_field(column) for column in table.schema.columns]
        created = bigquery.Table(self.dataset.table(name), schema=fields)
        created.expires = self.now() + self.expiry
        try:
            doing = f"creating the staging table {name}"
            with warehouse_errors(doing):
                self.client.create_table(created, retry=ONCE, timeout=self.deadline.of(REQUEST_TIMEOUT, doing))
            yield name
        finally:
            # guard: staging tables are dropped
            self._drop(name)

    def sweep(self, table: WarehouseTable) -> int:
        """Drop the table's staging tables that are older than `expiry`, and return their number.

        BigQuery expires them by itself; this is for a warehouse that does not.
        """
        oldest = self.now() - self.expiry
        with warehouse_errors(f"listing the dataset {self.dataset.dataset_id}"):
            found = list(self.client.list_tables(self.dataset, retry=ONCE, timeout=REQUEST_TIMEOUT))
        # guard: staging tables of living runs stay
        leftovers = [
            item.table_id
            for item in found
            if item.table_id.startswith(table.name + MARK) and item.created is not None and item.created < oldest
        ]
        for name in leftovers:
            self._drop(name)
        return len(leftovers)

    def _drop(self, name: str) -> None:
        """Drop a staging table; a failure is only logged, since the table expires."""
        doing = f"dropping the staging table {name}"
        try:
            with warehouse_errors(doing):
                timeout = self.deadline.of(REQUEST_TIMEOUT, doing)
                self.client.delete_table(self.dataset.table(name), not_found_ok=True, retry=ONCE, timeout=timeout)
        except PlatformError as error:
            logger.warning("%s It expires after %s.", error, self.expiry)
