"""The version of each table's data: a file that publishers write and servers read, so that neither asks the warehouse.

A version is a random text, new with every change. A change is announced before it begins and closed after it ends. An
answer read meanwhile is of no certain version, and so is one after a publisher died: neither is kept, until the window
is published again or the announcement is `FORGOTTEN` old, which counts as a change.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from flows_platform.domain.errors import StorageError
from flows_platform.domain.windows import Window
from flows_platform.runtime.atomic_files import atomic_path
from flows_platform.runtime.followed_files import FollowedFile
from flows_platform.runtime.locks import exclusive

# No job of a publisher that died still runs then: jobs may take ten minutes, and all tries of a window half an hour.
FORGOTTEN = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class TableVersion:
    """What is known of a table's data.

    Args:
        version: Another text after every change.
        newest: The end of the newest window that was published (UTC, ISO 8601); empty before the first.
        committed: The time of the last change (UTC, ISO 8601).
        changing: The windows that are being replaced, with the time of their announcement.
    """

    version: str = ""
    newest: str = ""
    committed: str = ""
    changing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataState:
    """The state of all tables of a report.

    Args:
        version: Names the data; None while it changes, or where a table was never published.
        as_of: The end of the newest window of the table that is furthest behind; None where one has none.
        committed: The last change of any table.
    """

    version: str | None
    as_of: datetime | None
    committed: datetime | None


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Versions:
    """The file `path`; the first change creates it."""

    path: Path
    now: Callable[[], datetime] = utc_now

    @contextmanager
    def changing(self, table: str, window: Window) -> Iterator[None]:
        """Announce a change of the window, and give the table another version when the block ends, however it ends.

        Raises:
            StorageError: the file cannot be read or written.
        """
        # guard: a change is announced before it begins
        self._update(table, lambda held: _announced(held, window.key, self._text()))
        newest = ""
        try:
            yield
            newest = window.end.isoformat()
        finally:
            # guard: a change gives another version
            self._update(table, lambda held: _closed(held, window.key, self._text(), newest))

    def committed(self, table: str, newest: datetime) -> None:
        """Give a table that was filled in another way a version; `newest` is the end of its data."""
        end = newest.astimezone(UTC).isoformat()
        self._update(table, lambda held: _closed(held, "", self._text(), end))

    def read(self) -> Mapping[str, TableVersion]:
        """All tables.

        Raises:
            StorageError: the file cannot be read.
        """
        try:
            return {name: TableVersion(**held) for name, held in json.loads(self.path.read_bytes()).items()}
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


def _announced(held: TableVersion, key: str, at: str) -> TableVersion:
    return replace(held, changing={**held.changing, f"{key} {secrets.token_hex(4)}": at})


def _closed(held: TableVersion, key: str, at: str, newest: str) -> TableVersion:
    """The table after a change; announcements of that window by publishers that died end too: this one replaced it."""
    others = {name: since for name, since in held.changing.items() if name.partition(" ")[0] != key}
    # Text of one form compares as its instants do.
    return TableVersion(secrets.token_hex(8), max(held.newest, newest), at, others)


def state_of(tables: Sequence[str], held: Mapping[str, TableVersion], now: datetime) -> DataState:
    """The state of these tables."""
    found = [held.get(name, TableVersion()) for name in tables]
    since = [at for one in found for at in one.changing.values() if datetime.fromisoformat(at) > now - FORGOTTEN]
    # guard: an uncertain answer has no version
    certain = all(one.version for one in found) and not since
    names = "\n".join(f"{one.version} {sorted(one.changing.items())}" for one in found)
    ends = [datetime.fromisoformat(one.newest) for one in found if one.newest]
    changes = [datetime.fromisoformat(one.committed) for one in found if one.committed]
    return DataState(
        version=sha256(names.encode()).hexdigest() if certain else None,
        as_of=min(ends) if len(ends) == len(found) else None,
        committed=max(changes, default=None),
    )


class VersionsFile:
    """A server's view of the file: read again only once it was replaced."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._file = FollowedFile(versions.path, lambda _: versions.read())

    def state(self, tables: Sequence[str]) -> DataState:
        """The state of these tables now.

        Raises:
            StorageError: the file cannot be read.
        """
        return state_of(tables, self._file.current(), self._versions.now())
