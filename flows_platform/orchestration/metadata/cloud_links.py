"""Links to tables and jobs in Google Cloud's console. Only for a real project: the emulator has no console."""

from dataclasses import dataclass
from urllib.parse import urlencode

BIGQUERY = "https://console.cloud.google.com/bigquery"


@dataclass(frozen=True, slots=True)
class CloudConsole:
    """The cloud console's pages for one dataset of BigQuery."""

    project: str
    dataset: str
    location: str

    def table(self, name: str) -> str:
        """The page of a table: schema, details, preview."""
        names = {"project": self.project, "p": self.project, "d": self.dataset, "t": name}
        return f"{BIGQUERY}?{urlencode(names | {'page': 'table'})}"

    def job(self, job_id: str) -> str:
        """The page of a job: its statement, bytes, errors."""
        job = f"bq:{self.location}:{job_id}"
        return f"{BIGQUERY}?{urlencode({'project': self.project, 'j': job, 'page': 'queryresults'}, safe=':')}"
