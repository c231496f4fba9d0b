"""An API's answers as received: one compressed file a page, kept for a time. The platform never reads them."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import zstandard

from flows_platform.domain.errors import StorageError
from flows_platform.formats.protocol.metered_reader import ByteSource
from flows_platform.runtime.atomic_files import atomic_path

LEVEL = 3
_PAGE = re.compile(r"page-([0-9]+)\.zst")


@dataclass(frozen=True, slots=True)
class RawPulls:
    """The pages of one pull: `FOLDER/NAME/page-0001.zst` and so on; a file appears once its page was read in full."""

    folder: Path
    name: str

    @property
    def path(self) -> Path:
        return self.folder / self.name.replace(":", "")

    def page(self) -> Callable[[ByteSource], AbstractContextManager[ByteSource]]:
        """A function that copies the pages of one try while they are read, numbered from 1."""
        numbers = count(1)
        return lambda source: self._copied(source, self.path / f"page-{next(numbers):04}.zst")

    @contextmanager
    def _copied(self, source: ByteSource, target: Path) -> Iterator[ByteSource]:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{target.parent} cannot be created: {error.strerror}.") from error
        with atomic_path(target) as temporary, zstandard.open(temporary, "wb", zstandard.ZstdCompressor(LEVEL)) as copy:
            yield _Copying(source, copy)

    def forget_after(self, pages: int) -> None:
        """Remove the pages after number `pages`, which an earlier, longer pull left behind."""
        for path in self.path.iterdir() if self.path.is_dir() else ():
            number = _PAGE.fullmatch(path.name)
            if number and int(number[1]) > pages:
                path.unlink()


@dataclass(slots=True)
class _Copying:
    source: ByteSource
    copy: zstandard.ZstdCompressionWriter

    def read(self, size: int = -1, /) -> bytes:
        piece = self.source.read(size)
        self.copy.write(piece)
        return piece


def sweep_pulls(folder: Path, keep: timedelta, now: datetime) -> int:
    """Remove the pulls whose files are all older than `keep`, and return their number."""
    pulls = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    old = [pull for pull in pulls if _newest(pull) < now - keep]
    for pull in old:
        shutil.rmtree(pull)
    return len(old)


def _newest(pull: Path) -> datetime:
    return datetime.fromtimestamp(max((page.stat().st_mtime for page in pull.iterdir()), default=0.0), UTC)
