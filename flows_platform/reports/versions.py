"""The version of each table's data, in a file that publishers write and servers read without asking the warehouse.

A version is a random text that every change replaces. A publisher announces a change before it begins, and closes it
after it ends. The version of an answer that is read in between is uncertain, and so is that of an answer read after a
publisher died: such answers are not kept, until the window is published again or the announcement is older than
`FORGOTTEN`, which counts as a change.

Every changed window has a version of its own, so that a change affects only answers whose range touches the window.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from flows_platform.domain.errors import StorageError
from flows_platform.domain.windows import Window
from flows_platform.reports.spans import Span
from flows_platform.runtime.atomic_files import atomic_path
from flows_platform.runtime.followed_files import FollowedFile
from flows_platform.runtime.locks import exclusive

# After that time no job of a dead publisher still runs: a job may take ten minutes, all tries of a window half an hour.
FORGOTTEN = timedelta(hours=6)
# Windows of a table with versions of their own. When there are more, the half that changed longest ago is merged into
# one change of the whole table.
MOST = 512


@dataclass(frozen=True, slots=True)
class TableVersion:
    """The state of a table's data. Windows are written `START/END`, and times in ISO 8601 (UTC), which sorts by time.

    Args:
        version: A text that every change of the whole table replaces.
        newest: The end of the newest published window; empty before the first.
        committed: The time of the last change of the whole table.
        changing: The windows that are being replaced, each with a random suffix, and the times of their announcements.
        windows: The windows that changed since then, each with its version and the time of the change.
    """

    version: str = ""
    newest: str = ""
    committed: str = ""
    changing: Mapping[str, str] = field(default_factory=dict)
    windows: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def within(self, span: Span | None) -> "TableVersion":
        """The state without the windows outside of this range."""
        if span is None:
            return self
        start, end = span.start.isoformat(), span.end.isoformat()

        def touches(window: str) -> bool:
            first, _, last = window.partition(" ")[0].partition("/")
            return first < end and last > start

        # guard: a window outside the range changes no answer
        return replace(
            self,
            changing={name: at for name, at in self.changing.items() if touches(name)},
            windows={name: change for name, change in self.windows.items() if touches(name)},
        )


@dataclass(frozen=True, slots=True)
class DataState:
    """The state of the data of a report's tables, or of one range of it.

    Args:
        version: Identifies the data; None while it changes, or if a table was never published.
        as_of: The end of the newest window of the table that is furthest behind, or the end of the range if that is
            earlier; None if a table has no data.
        committed: The time of the last change of any of the tables; None if there was none.
    """

    version: str | None
    as_of: datetime | None
    committed: datetime | None


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Versions:
    """The file of versions at `path`, which the first change creates."""

    path: Path
    now: Callable[[], datetime] = utc_now

    @contextmanager
    def changing(self, table: str, window: Window) -> Iterator[None]:
        """Announce a change of a window; when the block ends, with or without an error, the window has a new version.

        Raises:
            StorageError: the file cannot be read or written.
        """
        # guard: a change is announced before it begins
        name = f"{window.start.isoformat()}/{window.end.isoformat()}"
        self._update(table, lambda held: _announced(held, name, self._text()))
        newest = ""
        try:
            yield
            newest = window.end.isoformat()
        finally:
            # guard: a change gives another version
            self._update(table, lambda held: _closed(held, name, self._text(), newest))

    def committed(self, table: str, newest: datetime) -> None:
        """Give a new version to a table that was filled without windows; `newest` is the end of its data."""
        end = newest.astimezone(UTC).isoformat()
        self._update(table, lambda held: _whole(held, self._text(), end))

    def read(self) -> Mapping[str, TableVersion]:
        """The states of all tables, by their names.

        Raises:
            StorageError: the file cannot be read.
        """
        try:
            return {name: _read(held) for name, held in json.loads(self.path.read_bytes()).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise StorageError(
                f"the versions of tables in {self.path} cannot be read: {error}.",
                remedy="Correct its permissions, or delete it: answers are then kept again from the next window on.",
            ) from error

    def _text(self) -> str:
        return self.now().astimezone(UTC).isoformat()

    def _update(self, table: str, change: Callable[[TableVersion], TableVersion]) -> None:
        # guard: publishers of versions take turns
        with exclusive(self.path.with_name(f".{self.path.name}.lock")):
            held = dict(self.read())
            held[table] = change(held.get(table, TableVersion()))
            with atomic_path(self.path) as temporary:
                temporary.write_text(json.dumps({name: asdict(one) for name, one in held.items()}, indent=1) + "\n")


def _read(held: dict[str, Any]) -> TableVersion:
    windows = {name: (version, at) for name, (version, at) in held.pop("windows", {}).items()}
    return TableVersion(**held, windows=windows)


def _announced(held: TableVersion, window: str, at: str) -> TableVersion:
    return replace(held, changing={**held.changing, f"{window} {secrets.token_hex(4)}": at})


def _closed(held: TableVersion, window: str, at: str, newest: str) -> TableVersion:
    """The table after a change. It also closes announcements of the window by publishers that died."""
    others = {name: since for name, since in held.changing.items() if name.partition(" ")[0] != window}
    changed = {**held.windows, window: (secrets.token_hex(8), at)}
    after = replace(held, newest=max(held.newest, newest), changing=others, windows=changed)
    if not held.version:
        return replace(after, version=secrets.token_hex(8), committed=at)
    return after if len(changed) <= MOST else _shorter(after)


def _shorter(held: TableVersion) -> TableVersion:
    """The table with fewer windows; those that are left out become one change of the whole table."""
    by_time = sorted(held.windows.items(), key=lambda item: item[1][1])
    gone, kept = by_time[: MOST // 2], by_time[MOST // 2 :]
    return replace(held, version=secrets.token_hex(8), committed=max(at for _, (_, at) in gone), windows=dict(kept))


def _whole(held: TableVersion, at: str, newest: str) -> TableVersion:
    return TableVersion(secrets.token_hex(8), max(held.newest, newest), at, held.changing)


def newest_of(tables: Sequence[str], held: Mapping[str, TableVersion]) -> datetime | None:
    """The end of the newest window of the table that is furthest behind; None if a table has no data."""
    ends = [held.get(name, TableVersion()).newest for name in tables]
    return datetime.fromisoformat(min(ends)) if all(ends) else None


def state_of(
    tables: Sequence[str], held: Mapping[str, TableVersion], now: datetime, span: Span | None = None
) -> DataState:
    """The state of these tables, or of their rows in a range of time."""
    found = [held.get(name, TableVersion()).within(span) for name in tables]
    since = [at for one in found for at in one.changing.values() if datetime.fromisoformat(at) > now - FORGOTTEN]
    # guard: an uncertain answer has no version
    certain = all(one.version for one in found) and not since
    newest = newest_of(tables, held)
    as_of = min(newest, span.until) if newest and span else newest
    # `as_of` is part of an answer, so it is part of the version too.
    names = [[one.version, sorted(one.changing.items()), sorted(one.windows.items())] for one in found]
    changes = [at for one in found for at in (one.committed, *(at for _, at in one.windows.values())) if at]
    return DataState(
        version=sha256(json.dumps([str(as_of), names]).encode()).hexdigest() if certain else None,
        as_of=as_of,
        committed=datetime.fromisoformat(max(changes)) if changes else None,
    )


class VersionsFile:
    """A server's view of the file, which is read again only after it was replaced."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._file = FollowedFile(versions.path, lambda _: versions.read())

    def newest(self, tables: Sequence[str]) -> datetime | None:
        """The end of the newest window of the table that is furthest behind; None if a table has no data.

        Raises:
            StorageError: the file cannot be read.
        """
        return newest_of(tables, self._file.current())

    def state(self, tables: Sequence[str], span: Span | None = None) -> DataState:
        """The current state of these tables, or of their rows in a range of time.

        Raises:
            StorageError: the file cannot be read.
        """
        return state_of(tables, self._file.current(), self._versions.now(), span)
