"""Rules between the values of a declaration. Every fault carries the path of its key."""

from collections.abc import Collection, Iterator, Sequence
from typing import Self

from pydantic import model_validator

from flows_platform.components.faults.documents import document_faults
from flows_platform.components.faults.for_each import for_each_faults
from flows_platform.components.faults.forms import form_faults
from flows_platform.components.faults.origins import origin_faults
from flows_platform.components.faults.partitions import partition_faults
from flows_platform.components.faults.requests import request_faults
from flows_platform.components.faults.snapshots import snapshot_faults
from flows_platform.components.faults.written_secrets import written_secrets
from flows_platform.components.rules import environment_in, texts_at
from flows_platform.components.source import ColumnDeclaration, TableKeys
from flows_platform.declared import Fault, KeyPath, all_refused, did_you_mean, refused
from flows_platform.domain.schema import ColumnType, fault_of_name
from flows_platform.fetch.http.refusals import OK, TRANSIENT_STATUSES, NothingCode
from flows_platform.formats.protocol.names import WireFormat, nothing_around
from flows_platform.runtime.old_names import say_renamed

OLD_KEYS = {"staged": "files_asset"}
TEXTS = {ColumnType.STRING, ColumnType.JSON}


class TableDeclaration(TableKeys):
    """A table that is filled from an API, window by window."""

    @model_validator(mode="before")
    @classmethod
    def _by_old_keys(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        renamed = {old: new for old, new in OLD_KEYS.items() if old in given and new not in given}
        for old, new in renamed.items():
            say_renamed(f"the key {old}", new)
        return {renamed.get(key, key): value for key, value in given.items()}

    @model_validator(mode="before")
    @classmethod
    def _shows_no_secret(cls, given: object) -> object:
        for at, name in environment_variables(given):
            raise refused(
                f"the variable {name} would be shown; write {{env: {name}}}, which is read when a run starts and "
                "masked wherever it is shown",
                at,
            )
        if secrets := list(written_secrets(given)):
            raise all_refused(secrets)
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if found := list(faults(self)):
            raise all_refused(found)
        return self


def environment_variables(given: object) -> Iterator[tuple[KeyPath, str]]:
    """Paths of templates that insert environment variables, with the names of the variables."""
    return ((at, name) for at, text in texts_at(given) if (name := environment_in(text)))


def faults(source: TableKeys) -> Iterator[Fault]:
    """Every contradiction between keys of the declaration."""
    yield from _table_faults(source)
    yield from _api_faults(source)
    yield from partition_faults(source)


def _table_faults(source: TableKeys) -> Iterator[Fault]:
    if source.table:
        return
    if not (source.columns and source.time and source.key):
        yield Fault((), "columns, time and key: all three are needed, or `table` instead of them")
        return
    columns = {column.name: column for column in source.columns}
    names = [column.name for column in source.columns]
    lower = [name.lower() for name in names]
    if twice := [index for index, name in enumerate(lower) if name in lower[:index]]:
        yield Fault(("columns", twice[0], "name"), f"the column {names[twice[0]]!r} is declared twice")
    if kept := [(index, why) for index, name in enumerate(names) if (why := fault_of_name(name))]:
        yield Fault(("columns", kept[0][0], "name"), kept[0][1])
    yield from _unknown(("time",), [source.time], columns)
    yield from _unknown(("key",), source.key_columns, columns)
    yield from _unknown(("extra",), [source.extra] if source.extra else [], columns)
    clustering = source.destination.cluster_by if source.destination else []
    yield from _unknown(("destination", "cluster_by"), clustering, columns)
    for index, chart in enumerate(source.charts):
        yield from _unknown(("charts", index, "by"), [chart.by], columns)
    yield from _role_faults(source, columns)
    yield from origin_faults(source)
    yield from form_faults(source)


def _unknown(at: KeyPath, names: Sequence[str | None], columns: Collection[str]) -> Iterator[Fault]:
    for name in names:
        if name not in columns:
            near = did_you_mean(name or "", columns)
            yield Fault(at, f"{name!r} is not one of the columns ({', '.join(columns)}){near}")


def _role_faults(source: TableKeys, columns: dict[str, ColumnDeclaration]) -> Iterator[Fault]:
    time, extra = (columns.get(name or "") for name in (source.time, source.extra))
    # guard: the time that windows cut is a required timestamp
    if time and (time.type is not ColumnType.TIMESTAMP or not time.required):
        yield Fault(("time",), f"the column {time.name!r} must be a required timestamp")
    keys = [columns[name] for name in source.key_columns if name in columns]
    if loose := [key.name for key in keys if not key.required]:
        yield Fault(("key",), f"the column {loose[0]!r} must be required")
    if len(set(source.key_columns)) < len(source.key_columns):
        yield Fault(("key",), "a column is listed twice")
    if extra and (extra.required or extra.type not in TEXTS):
        yield Fault(("extra",), f"the column {extra.name!r} must be a json or string that is not required")


def _api_faults(source: TableKeys) -> Iterator[Fault]:
    api, names = source.api, [column.name for column in source.columns]
    paging = api.paging
    column = paging and paging.continues_from
    if column and names and column not in names:
        yield from _unknown(("api", "paging", "column"), [column], names)
    around = api.total or (paging and (paging.flag or paging.reads))
    # guard: a next link in the document asks for a document
    if around and api.format in set(WireFormat) and not WireFormat(api.format).has_envelope:
        yield Fault(("api", "format"), nothing_around(api.format))
    yield from _nothing_faults(source)
    if api.rows and api.rows.chooses:
        yield Fault(("api", "rows"), "it must take all elements of its lists: the others would be lost")
    yield from for_each_faults(source)
    yield from snapshot_faults(source)
    yield from document_faults(api)
    yield from request_faults(source)
    partitions = source.partitions
    if api.time and api.time.written == "date" and not (partitions.templated or partitions.start_days):
        yield Fault(("api", "time", "written"), "dates need windows of whole days that start at midnight in UTC")


def _nothing_faults(source: TableKeys) -> Iterator[Fault]:
    errors = source.api.errors
    for index, answer in enumerate(source.api.nothing):
        if isinstance(answer, int) and not 200 <= answer <= 599:  # noqa: PLR2004 - statuses of answers
            yield Fault(("api", "nothing", index), f"{answer} is not a status of an HTTP answer")
        elif isinstance(answer, int) and (answer == OK or answer in TRANSIENT_STATUSES):
            yield Fault(("api", "nothing", index), f"{answer} does not say whether there are records")
        if isinstance(answer, NothingCode) and not (errors and errors.code):
            yield Fault(("api", "nothing", index), "a code needs `errors.code`, which is not declared")
