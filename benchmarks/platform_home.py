"""A platform of its own for a benchmark: emulator, API server, home folder, as the settings of child processes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from google.cloud import bigquery

from benchmarks import serving
from benchmarks.data import DataSet
from benchmarks.serving import STREAM, Server
from flows_platform.local.emulator import Emulator, running
from flows_platform.settings import EMULATOR_PROJECT, Settings, load_settings
from flows_platform.sources.lanl_flows.schema import FLOWS_TABLE
from flows_platform.warehouse.warehouse import Warehouse, emulator_client

LOCATION = "US"


@dataclass(frozen=True, slots=True)
class Home:
    """What runs, and where."""

    data: DataSet
    folder: Path
    api: Server
    emulator: Emulator

    def settings(self, dataset: str) -> Settings:
        """The product's settings, with the warehouse's dataset of that name."""
        return load_settings(
            home=self.folder / "home",
            days=self.data.days,
            api_url=self.api.url + STREAM,
            emulator_port=self.emulator.port,
            emulator_key_file=self.emulator.key_file,
            bigquery_dataset=dataset,
        )

    def variables(self, dataset: str) -> Mapping[str, str]:
        """The same for a child process."""
        given = self.settings(dataset).model_dump(exclude_unset=True)
        return {f"FLOWS_{name.upper()}": str(value) for name, value in given.items()}

    @contextmanager
    def client(self) -> Iterator[bigquery.Client]:
        """The emulator's."""
        with emulator_client(self.emulator.url, EMULATOR_PROJECT, LOCATION, self.emulator.key_file) as client:
            yield client

    def table_digest(self, dataset: str) -> str:
        """The rows of the dataset's table flows."""
        with self.client() as client:
            return str(Warehouse(client, dataset, LOCATION, self.folder / "locks").digest(FLOWS_TABLE))

    def drop(self, dataset: str) -> None:
        """Remove a dataset, so that the emulator does not grow from trial to trial."""
        with self.client() as client:
            client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)


@contextmanager
def home(data: DataSet, folder: Path) -> Iterator[Home]:
    """Start emulator and API server over the data set."""
    with serving.api(data.database, folder) as api, running(Emulator.at(folder / "emulator")) as emulator:
        yield Home(data, folder, api, emulator)
