"""Where Google Cloud's console shows a table and a job. For tables of a real project: the emulator has no console."""

from dataclasses import dataclass
from urllib.parse import urlencode

BIGQUERY = "https://console.cloud.google.com/bigquery"


@dataclass(frozen=True, slots=True)
class CloudConsole:
    """BigQuery's console for one dataset."""

    project: str
    dataset: str
    location: str

    def table(self, name: str) -> str:
        """The page of a table: schema, details, preview."""
        names = {"project": self.project, "p": self.project, "d": self.dataset, "t": name}
        return f"{BIGQUERY}?{urlencode(names | {'page': 'table'})}"

    def job(self, job_id: str) -> str:
        """The page of a job: its statement, bytes, errors."""
        place = f"bq:{self.location}:{job_id}"
        return f"{BIGQUERY}?{urlencode({'project': self.project, 'j': place, 'page': 'queryresults'}, safe=':')}"
