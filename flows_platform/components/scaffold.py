"""The file that `dg scaffold defs` writes: a source that loads, with a comment where its author decides."""

import dagster as dg

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import plain_name

TEXT = """\
type: flows_platform.components.WindowedApiTable
attributes:
  name: {name}
  description: What a row is.
  api:
    url: https://api.example/v1/{name} # the full endpoint
    format: json # or xml, ndjson, csv, arrow
    records: data # path of the array of records
    # auth: {{kind: bearer, token: {{env: API_TOKEN}}}} # the name of a variable, never the secret itself
    time: {{after: from, before: to, before_inclusive: false}} # how a time range is asked for
    # paging: {{kind: next_link, link: next}} # how an answer continues
  columns:
    - {{name: id, required: true, description: Identifies a record.}}
    - {{name: at, type: timestamp, required: true, description: The time that windows cut.}}
    - {{name: extra_fields, type: json, description: Fields that no column takes.}}
  time: at
  key: id
  extra: extra_fields
  partitions: {{cron: 0 0 * * *, start: 2024-01-01T00:00:00}}
  destination: {{partition_by: day}}
"""


class TableScaffolder(dg.Scaffolder):
    """Writes `defs.yaml`, which names the table after its folder."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        if request.scaffold_format != "yaml":
            raise ConfigurationError("a source is declared in YAML.", remedy="Leave --format out.")
        path = request.target_path if request.append else request.target_path / "defs.yaml"
        name = table_name(request.target_path.parent.name if request.append else request.target_path.name)
        with path.open("a" if request.append else "w") as file:
            file.write(("---\n" if request.append else "") + TEXT.format(name=name))


def table_name(text: str) -> str:
    """The text as the name of a table."""
    name = plain_name(text, otherwise="events")
    return name if not name[0].isdigit() else f"t_{name}"
