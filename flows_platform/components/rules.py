"""What a declaration must hold to beside its types: of single values, and of values that belong together.

Every fault carries the place of the key at fault; nothing is built here.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic_core import PydanticCustomError

from flows_platform.domain.cron import DAY, Cron
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import ColumnType
from flows_platform.wire.paths import RecordPath

if TYPE_CHECKING:
    from flows_platform.components.declaration import ColumnDeclaration, Partitions, TableDeclaration

ENVELOPED = {"json", "xml", "auto"}  # formats in which something may stand around the records
TEXTS = {ColumnType.STRING, ColumnType.JSON}

type Place = tuple[str | int, ...]


class Fault(NamedTuple):
    """What is wrong at a key."""

    place: Place
    why: str


def refused(why: str, place: Place = ()) -> PydanticCustomError:
    """The fault as pydantic takes it; `place` leads on from where the rule stands."""
    return PydanticCustomError("refused", "{why}", {"why": why.rstrip("."), "place": place})


def is_template(value: object) -> bool:
    """A value that is put in later."""
    return isinstance(value, str) and "{{" in value


def checked(parse: Callable[[str], object]) -> Callable[[str], str]:
    """A rule for texts that `parse` must take."""

    def rule(text: str) -> str:
        if not is_template(text):
            try:
                parse(text)
            except ConfigurationError as error:
                raise refused(str(error)) from None
        return text

    return rule


def zone_of(name: str) -> tzinfo:
    """The time zone of that name.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f"{name!r} is no time zone.", remedy="Use UTC or a name such as Europe/Berlin."
        ) from None


def require_url(text: str) -> None:
    """Refuses what no request can be sent to.

    Raises:
        ConfigurationError: it is no http(s) URL.
    """
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("this is not an http(s) URL.", remedy="Give the full endpoint.")


def instant_of(given: datetime | str, zone: tzinfo) -> datetime:
    """The instant in UTC; a time without a zone is on the clock of `zone`."""
    moment = given if isinstance(given, datetime) else datetime.fromisoformat(given)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


is_path = checked(RecordPath.parse)
is_cron = checked(Cron.parse)
is_zone = checked(zone_of)
is_url = checked(require_url)


def faults(source: "TableDeclaration") -> Iterator[Fault]:
    """What does not fit together, the first of each kind."""
    yield from _table_faults(source)
    yield from _api_faults(source)
    yield from _partition_faults(source.partitions)


def _table_faults(source: "TableDeclaration") -> Iterator[Fault]:
    if source.table:
        return
    if not (source.columns and source.time and source.key):
        yield Fault((), "columns, time and key: all three are needed, or `table` instead of them")
        return
    columns = {column.name: column for column in source.columns}
    names = [column.name for column in source.columns]
    if twice := [place for place, name in enumerate(names) if name in names[:place]]:
        yield Fault(("columns", twice[0], "name"), f"the column {names[twice[0]]!r} is declared twice")
    yield from _unknown("time", [source.time], columns)
    yield from _unknown("key", [source.key], columns)
    yield from _unknown("extra", [source.extra] if source.extra else [], columns)
    clustering = source.destination.cluster_by if source.destination else []
    yield from _unknown(("destination", "cluster_by"), clustering, columns)
    yield from _role_faults(source, columns)


def _unknown(place: str | Place, wanted: list[str], columns: "dict[str, ColumnDeclaration]") -> Iterator[Fault]:
    for name in wanted:
        if name not in columns:
            where = (place,) if isinstance(place, str) else place
            yield Fault(where, f"{name!r} is none of the columns ({', '.join(columns)})")


def _role_faults(source: "TableDeclaration", columns: "dict[str, ColumnDeclaration]") -> Iterator[Fault]:
    time, key, extra = (columns.get(name or "") for name in (source.time, source.key, source.extra))
    if time and (time.type is not ColumnType.TIMESTAMP or not time.required):
        yield Fault(("time",), f"the column {time.name!r} must be a required timestamp")
    if key and not key.required:
        yield Fault(("key",), f"the column {key.name!r} must be required")
    if extra and (extra.required or extra.type not in TEXTS):
        yield Fault(("extra",), f"the column {extra.name!r} must be a json or string that is not required")


def _api_faults(source: "TableDeclaration") -> Iterator[Fault]:
    api, names = source.api, [column.name for column in source.columns]
    paging = api.paging
    if paging and paging.kind == "continue_from" and names and paging.column not in names:
        yield Fault(("api", "paging", "column"), f"{paging.column!r} is none of the columns ({', '.join(names)})")
    around = api.total or (paging and paging.kind == "next_link")
    if around and api.format not in ENVELOPED and not is_template(api.format):
        yield Fault(("api", "format"), f"nothing stands around the records of {api.format}: no total, and no next link")
    if api.rows and RecordPath.parse(api.rows).chooses:
        yield Fault(("api", "rows"), "it must take all elements of its lists: the others would be lost")
    cron = Cron.parse(source.partitions.cron)
    if api.time.written == "date" and (cron.length % DAY or cron.offset % DAY or source.partitions.timezone != "UTC"):
        yield Fault(("api", "time", "written"), "dates ask for windows of whole days from midnight on, in UTC")


def _partition_faults(partitions: "Partitions") -> Iterator[Fault]:
    if is_template(partitions.start) or is_template(partitions.end):
        return
    zone = zone_of(partitions.timezone)
    try:
        grid = Cron.parse(partitions.cron).grid(instant_of(partitions.start, zone), zone)
    except ConfigurationError as error:
        yield Fault(("partitions", "start"), str(error))
        return
    if partitions.end and instant_of(partitions.end, zone) <= grid.start:
        yield Fault(("partitions", "end"), "the last window ends before the first starts")
