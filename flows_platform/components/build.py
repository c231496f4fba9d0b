"""A declaration made into what fetches, stores and shows it. Secrets are read when a run starts."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

from flows_platform.columns.mapping import ColumnSource, RecordMapping
from flows_platform.columns.paths import RecordPath
from flows_platform.components import source as declared
from flows_platform.components.rules import instant_of, zone_of
from flows_platform.components.tables import warehouse_table
from flows_platform.components.validation import TableDeclaration
from flows_platform.domain.cron import Cron
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import TableSchema, WarehouseTable
from flows_platform.domain.verification import Verification
from flows_platform.fetch.api import LatestSource, WindowedApi
from flows_platform.fetch.auth import NoAuth
from flows_platform.fetch.http.rate_limit import RateBudget
from flows_platform.fetch.http.refusals import Nothing, Refusals
from flows_platform.fetch.paging import SinglePage
from flows_platform.formats.csv.dialect import RFC_4180, CsvDialect
from flows_platform.formats.protocol.envelope import ErrorDocument
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.formats.protocol.parser import Parser
from flows_platform.orchestration.automation.due import Calendar
from flows_platform.orchestration.metadata.charts import Chart
from flows_platform.orchestration.metadata.cloud_links import Console
from flows_platform.orchestration.table import WindowedTable
from flows_platform.settings import AUTO, Settings, secret


def windowed_table(source: TableDeclaration, settings: Settings) -> WindowedTable:
    """The table that the declaration describes, under these settings.

    Raises:
        ConfigurationError: parts of the declaration do not fit each other; the message names the key.
    """
    table = warehouse_table(source, settings)
    cron = Cron.parse(source.partitions.cron)
    return WindowedTable(
        staged=source.staged or f"{source.name}_windows",
        table=table,
        api=_api(source, table.schema),
        cron=cron,
        calendar=_calendar(source, cron),
        group=source.group or source.name,
        owner=source.owner,
        folder=settings.files.windows / source.name,
        locks=settings.files.locks,
        raw_pulls=settings.files.raw_pulls / source.name,
        dataset=f"{settings.warehouse_project}.{settings.bigquery_dataset}",
        windows_per_run=settings.windows_per_run,
        look_back=int(source.look_back),
        upstream=tuple(source.upstream),
        rate=_rate(source.api),
        keep_raw=timedelta(days=source.keep_raw_days) if source.keep_raw_days else None,
        moving=source.moving,
        shrink=source.shrink,
        charts=tuple(_charts(source, table)),
        console=_console(settings),
    )


def _charts(source: TableDeclaration, table: WarehouseTable) -> Iterator[Chart]:
    for chart in source.charts:
        if chart.by not in table.schema.names:
            raise ConfigurationError(
                f"charts: {chart.by!r} is none of the columns ({', '.join(table.schema.names)}) of {table.name}."
            )
        yield Chart(chart.name, chart.by, chart.labels)


def _console(settings: Settings) -> Console | None:
    project = settings.bigquery_project
    return Console(project, settings.bigquery_dataset, settings.bigquery_location) if project else None


def _rate(api: declared.Api) -> RateBudget | None:
    rate = api.rate
    if rate is None:
        return None
    key = api.auth.key if api.auth else None
    keyed = key is not None and secret(key.env) is not None
    requests = rate.requests_with_key if keyed and rate.requests_with_key else rate.requests
    return RateBudget(requests, rate.seconds, rate.concurrency)


def _calendar(source: TableDeclaration, cron: Cron) -> Calendar:
    partitions = source.partitions
    zone = zone_of(partitions.timezone)
    end = instant_of(partitions.end, zone) if partitions.end else None
    grace = timedelta(minutes=int(source.grace_minutes))
    return Calendar(cron.grid(instant_of(partitions.start, zone), zone), end, grace)


def _api(source: TableDeclaration, schema: TableSchema) -> Callable[[], WindowedApi]:
    """Gives the API with the secrets of the moment."""
    api = source.api
    without_secrets = WindowedApi(
        url=api.url,
        schema=schema,
        time=api.time,
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
        plain_names=api.namespaces is declared.Namespaces.DROP,
        latest=_latest(api.newest),
        dialect=_dialect(api.csv),
        content_types=frozenset(each.partition(";")[0].strip().lower() for each in api.content_types),
        compression=tuple(api.compression),
        parser=Parser(api.parser),
    )

    return lambda: without_secrets.with_secrets(secret)


def _refusals(api: declared.Api) -> Refusals:
    codes = frozenset(each.code for each in api.nothing if isinstance(each, declared.NothingCode))
    usual = Refusals(
        message_header=api.message_header, document=_error_document(api.errors, codes), nothing=_nothing(api)
    )
    wait = api.wait
    if wait is None:
        return usual
    return replace(
        usual,
        statuses=frozenset(wait.statuses),
        wait_headers=tuple(wait.headers),
        pause=wait.pause,
        longest=wait.longest,
    )


def _dialect(csv: declared.Csv | None) -> CsvDialect:
    return CsvDialect(**csv.model_dump() | {"names": tuple(csv.names)}) if csv else RFC_4180


def _nothing(api: declared.Api) -> Nothing:
    names = {"null" if each is None else each for each in api.nothing if each is None or isinstance(each, str)}
    return Nothing(
        statuses=frozenset(each for each in api.nothing if isinstance(each, int)),
        empty="empty" in names,
        members=frozenset(names - {"empty"}),
    )


def _error_document(errors: declared.Errors | None, nothing: frozenset[str]) -> ErrorDocument | None:
    if errors is None:
        return None
    return ErrorDocument(errors.message, errors.code, errors.root, frozenset(errors.transient), nothing)


def _mapping(source: TableDeclaration) -> RecordMapping:
    return RecordMapping(
        columns=tuple(_column_source(each) for each in source.columns if each.name != source.extra),
        each=source.api.rows,
        ignored=tuple(source.ignore),
    )


def _column_source(column: declared.ColumnDeclaration) -> ColumnSource:
    path = column.path or ([] if column.join else RecordPath.parse(column.name))
    return ColumnSource(
        column=column.name,
        type=column.type,
        paths=(path,) if isinstance(path, RecordPath) else tuple(path),
        join=tuple(column.join),
        time=column.written,
        truncates=column.finer is declared.Finer.TRUNCATE,
    )


def _latest(newest: declared.Newest | None) -> LatestSource | None:
    if newest is None:
        return None
    return LatestSource(newest.path, newest.time, newest.records)
