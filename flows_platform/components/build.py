"""Builds a table from its declaration. Secrets are read when a run starts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from flows_platform.columns.mapping import ColumnSource, RecordMapping
from flows_platform.columns.paths import RecordPath, Step
from flows_platform.components import source as declared
from flows_platform.components.rules import WINDOW_FILES
from flows_platform.components.tables import warehouse_table
from flows_platform.components.validation import TableDeclaration
from flows_platform.domain.calendar import Calendar
from flows_platform.domain.cron import Cron
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import TableSchema, WarehouseTable
from flows_platform.domain.verification import Verification
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.auth import NoAuth
from flows_platform.fetch.for_each import ForEach
from flows_platform.fetch.http.rate_limit import RateBudget
from flows_platform.fetch.http.refusals import USUAL_WAIT, Refusals
from flows_platform.fetch.paging import SinglePage
from flows_platform.fetch.unpacking import Unpacking
from flows_platform.formats.csv.dialect import RFC_4180
from flows_platform.formats.protocol.names import Parser, WireFormat
from flows_platform.orchestration.metadata.charts import Chart
from flows_platform.orchestration.metadata.cloud_links import CloudConsole
from flows_platform.orchestration.table import WindowedTable
from flows_platform.settings import AUTO, Settings, secret


def windowed_table(source: TableDeclaration, settings: Settings, folder: Path = Path()) -> WindowedTable:
    """The table that a declaration describes, with these settings. Its relative paths start at `folder`.

    Raises:
        ConfigurationError: values of the declaration contradict each other; the message names the key.
    """
    table = warehouse_table(source, settings)
    cron = Cron.parse(source.partitions.cron)
    return WindowedTable(
        files_asset=source.files_asset or f"{source.name}{WINDOW_FILES}",
        table=table,
        api=_api(source, table.schema, settings, folder),
        cron=cron,
        calendar=_calendar(source),
        group=source.group or source.name,
        owners=(source.owner,) if source.owner else (),
        folder=settings.files.windows / source.name,
        locks=settings.files.locks,
        raw_pulls=settings.files.raw_pulls / source.name,
        dataset=f"{settings.warehouse_project}.{settings.bigquery_dataset}",
        windows_per_run=settings.windows_per_run,
        look_back=0 if source.api.snapshot else int(source.look_back),
        snapshot=source.api.snapshot,
        upstream=tuple(source.upstream),
        rate=_rate(source.api),
        keep_raw=timedelta(days=source.keep_raw_days) if source.keep_raw_days else None,
        moving=source.moving,
        shrink=source.shrink,
        charts=_charts(source, table),
        cloud_console=_cloud_console(settings),
        endpoint=source.api.first.url,
        versions=settings.versions,
    )


def _charts(source: TableDeclaration, table: WarehouseTable) -> tuple[Chart, ...]:
    for chart in source.charts:
        if chart.by not in table.schema.names:
            raise ConfigurationError(
                f"charts: {chart.by!r} is not one of the columns ({', '.join(table.schema.names)}) of {table.name}."
            )
    return tuple(source.charts)


def _cloud_console(settings: Settings) -> CloudConsole | None:
    project = settings.bigquery_project
    return CloudConsole(project, settings.bigquery_dataset, settings.bigquery_location) if project else None


def _rate(api: declared.Api) -> RateBudget | None:
    key = api.auth.key if api.auth else None
    keyed = key is not None and secret(key.env) is not None
    return api.rate.with_key() if api.rate and keyed else api.rate


def _calendar(source: TableDeclaration) -> Calendar:
    grace = timedelta(minutes=int(source.grace_minutes))
    return Calendar(source.partitions.grid, source.partitions.last_instant, grace)


def _api(source: TableDeclaration, schema: TableSchema, settings: Settings, folder: Path) -> Callable[[], WindowedApi]:
    """A function that returns the API with the secrets that are set at the time of the call."""
    api = source.api
    without_secrets = WindowedApi(
        url=api.first.url,
        schema=schema,
        time=api.time,
        snapshot=api.snapshot,
        format=None if api.format == AUTO else WireFormat(api.format),
        format_parameter=api.format_parameter,
        headers=api.headers,
        parameters=api.parameters,
        records=api.records,
        record=api.record,
        auth=api.auth or NoAuth(),
        paging=api.paging or SinglePage(),
        verification=Verification.of(api.verification),
        extra_column=source.extra,
        record_bytes=api.record_bytes,
        mapping=_mapping(source) if source.columns else None,
        total=api.total,
        ignored=tuple(api.ignore_envelope),
        refusals=_refusals(api),
        head_counts=api.flows_protocol,
        doctype=api.doctype,
        replaces_characters=api.invalid_characters is declared.InvalidCharacters.REPLACE,
        plain_names=_has_plain_names(api),
        newest=api.newest,
        dialect=api.csv or RFC_4180,
        content_types=frozenset(name.partition(";")[0].strip().lower() for name in api.content_types),
        compression=tuple(api.compression),
        names=tuple(api.names) if isinstance(api.names, list) else api.names,
        record_key=api.record_key,
        unpacking=Unpacking(api.unpack, settings.files.unpacking) if api.unpack else None,
        parser=Parser(api.parser),
        method=api.first.method,
        body=api.first.body,
        body_form=api.first.body_form,
        tls=api.tls and api.tls.beside(folder),
        details=api.details,
        for_each=_for_each(api, folder),
        job=api.job,
    )

    return lambda: without_secrets.with_secrets(secret)


def _for_each(api: declared.Api, folder: Path) -> ForEach | None:
    for name, values in (api.for_each or {}).items():
        return ForEach(name, tuple(values) if isinstance(values, list) else values, folder)
    return None


def _refusals(api: declared.Api) -> Refusals:
    refusals = Refusals(
        waiting=api.wait or USUAL_WAIT,
        message_header=api.message_header,
        document=api.errors,
        plain_names=_has_plain_names(api),
    )
    return refusals.with_nothing(api.nothing)


def _has_plain_names(api: declared.Api) -> bool:
    return api.namespaces is declared.Namespaces.DROP


def _mapping(source: TableDeclaration) -> RecordMapping:
    return RecordMapping(
        columns=tuple(_column_source(column) for column in source.columns if column.name != source.extra),
        each=source.api.rows,
        ignored=(*source.ignore, *_names_in_records(source.api)),
        named=source.api.names is not None,
    )


def _names_in_records(api: declared.Api) -> tuple[RecordPath, ...]:
    """The list of names, which may be in the records whose rows it names."""
    if not (api.rows and isinstance(api.names, RecordPath)):
        return ()
    steps = api.names.steps
    last = next((index for index, step in enumerate(steps) if step.chooses), len(steps) - 1)
    return (replace(api.names, steps=tuple(Step(step.name) for step in steps[: last + 1])),)


def _column_source(column: declared.ColumnDeclaration) -> ColumnSource:
    elsewhere = column.join or column.origin
    path = column.path or ([] if elsewhere else RecordPath.parse(column.name))
    return ColumnSource(
        column=column.name,
        type=column.type,
        paths=(path,) if isinstance(path, RecordPath) else tuple(path),
        join=tuple(column.join),
        time=column.written,
        truncates=column.finer is declared.Finer.TRUNCATE,
        origin=column.origin or "",
    )
