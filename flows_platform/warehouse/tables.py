"""Creating the dataset and the tables over REST, and refusing what is there but different."""

from google.api_core.exceptions import NotFound

from flows_platform.domain.errors import ConfigurationError, WarehouseError
from flows_platform.domain.schema import WarehouseTable
from flows_platform.warehouse.client import bigquery
from flows_platform.warehouse.errors import warehouse_errors
from flows_platform.warehouse.jobs import ONCE, REQUEST_TIMEOUT
from flows_platform.warehouse.schema import differences, target_table


def ensure_dataset(client: bigquery.Client, reference: bigquery.DatasetReference, location: str) -> None:
    """Creates the dataset if absent. Looks first: an account may use a dataset without the right to create one.

    Raises:
        ConfigurationError: it lies in another location; jobs would not find it.
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
            f"the dataset {reference.dataset_id} lies in {found.location}, not in {location}.",
            remedy=f"Set the warehouse's location to {found.location}, or use another dataset.",
        )


def ensure_target(client: bigquery.Client, dataset: bigquery.DatasetReference, table: WarehouseTable) -> None:
    """Creates the table if absent; one that is there is never altered.

    Raises:
        WarehouseError: the table is there with other columns, partitioning or clustering.
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
            remedy="Move it aside, or name another dataset; it is never altered here.",
        )
