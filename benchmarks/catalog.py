"""All rows, by the names that the command line takes, in the order they are run and shown."""

from benchmarks.contest import Row
from benchmarks.rows import alerts, backfill, fetch, files, hourly, reports, serve, start, warehouse

ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        *files.ROWS,
        *serve.ROWS,
        *reports.ROWS,
        *hourly.ROWS,
        *fetch.ROWS,
        *warehouse.ROWS,
        *backfill.ROWS,
        *alerts.ROWS,
        *start.ROWS,
    )
}
