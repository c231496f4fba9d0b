"""Checksums of a database's pages: the load writes them after the last page, and readers compare every page they read.

Everything that sqlite reads (rows, index, summary, schema) is compared every time it comes from the file, not only the
first time. sqlite itself does not look past the last page.

    pages   `page size` bytes per page
    sums    4 bytes per page, little-endian: CRC-32 of the page, started with its number, so that pages cannot be
            swapped
    tail    page size, number of pages, sqlite's counter of changes (4 bytes per number, little-endian); the first 16
            bytes of the SHA-256 of the sums and these three numbers; a mark of 16 bytes
"""

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Self

import apsw
from isal import isal_zlib

from flows_platform.domain.errors import InputError

MARK = b"flows page sums1"
SQLITE_MARK = b"SQLite format 3\0"
HEADER_BYTES = 100
_NUMBERS = struct.Struct("<III")
_DIGEST_BYTES = 16
_TAIL_BYTES = _NUMBERS.size + _DIGEST_BYTES + len(MARK)
_SUM_BYTES = 4
_READ_BYTES = 1 << 20
_LARGEST_PAGE = 1 << 16
_WAL = 2
_VFS = "flows-checked"
_REMEDY = "Build the database again with `flows load`, and check its disk."

type Read = Callable[[int, int], bytes]  # gives `amount` bytes from `offset` on


class DamagedDatabase(InputError):
    """The file has other bytes than the load wrote, although sqlite has not changed it since."""


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of sqlite's own header that say which state the file is in."""

    page_size: int
    pages: int
    changes: int
    settled: bool  # whether the sqlite that counted the last change knew how many pages there are
    wal: bool

    @classmethod
    def read(cls, read: Read) -> Self | None:
        """The header; None if the file is not an sqlite database."""
        header = read(HEADER_BYTES, 0)
        if len(header) < HEADER_BYTES or not header.startswith(SQLITE_MARK):
            return None
        size = int.from_bytes(header[16:18])
        return cls(
            page_size=_LARGEST_PAGE if size == 1 else size,
            pages=int.from_bytes(header[28:32]),
            changes=int.from_bytes(header[24:28]),
            settled=header[24:28] == header[92:96],
            wal=_WAL in header[18:20],
        )


@dataclass(frozen=True, slots=True)
class Checksums:
    """The checksums of a load, and the state of the file when they were written."""

    page_size: int
    pages: int
    changes: int
    sums: bytes

    @classmethod
    def read(cls, read: Read, size: int, name: str) -> Self | None:
        """The checksums at the end of a file of `size` bytes; None if there are none, or sqlite wrote over them.

        Raises:
            DamagedDatabase: the checksums are damaged, but not by sqlite.
        """
        header = Header.read(read)
        tail = read(_TAIL_BYTES, size - _TAIL_BYTES) if size > _TAIL_BYTES else b""
        if not tail.endswith(MARK):
            if header and header.page_size and size % header.page_size:
                raise DamagedDatabase(f"{name} ends neither with a page nor with checksums.", remedy=_REMEDY)
            return None
        page_size, pages, changes = _NUMBERS.unpack_from(tail)
        if header and header.settled and header.changes != changes and header.pages > pages:
            return None  # sqlite added pages where the sums were
        sums_size = pages * _SUM_BYTES
        sums = read(sums_size, size - _TAIL_BYTES - sums_size) if sums_size < size else b""
        # guard: damaged checksums are damage
        if _tail(page_size, pages, changes, sums) != tail or size != pages * page_size + sums_size + _TAIL_BYTES:
            raise DamagedDatabase(f"the checksums at the end of {name} are damaged.", remedy=_REMEDY)
        return cls(page_size, pages, changes, sums)

    def hold(self, page: int, data: bytes) -> bool:
        """Whether these are the bytes of a page, counted from 0."""
        start = page * _SUM_BYTES
        return self.sums[start : start + _SUM_BYTES] == _sum(page, data)


def _sum(page: int, data: bytes | memoryview) -> bytes:
    return isal_zlib.crc32(data, page).to_bytes(_SUM_BYTES, "little")


def _tail(page_size: int, pages: int, changes: int, sums: bytes) -> bytes:
    numbers = _NUMBERS.pack(page_size, pages, changes)
    return numbers + sha256(sums + numbers).digest()[:_DIGEST_BYTES] + MARK


def append_checksums(database: Path) -> None:
    """Write the checksums of a closed, new database after its last page.

    Raises:
        DamagedDatabase: the file is not an sqlite database.
        OSError: the file cannot be written.
    """
    with database.open("r+b") as file:
        header = Header.read(lambda amount, offset: os.pread(file.fileno(), amount, offset))
        if header is None:
            raise DamagedDatabase(f"{database} is not an sqlite database.", remedy=_REMEDY)
        sums = b"".join(_sums(file, header.page_size))
        file.write(sums + _tail(header.page_size, len(sums) // _SUM_BYTES, header.changes, sums))


def _sums(file: BinaryIO, page_size: int) -> Iterator[bytes]:
    page, block = 0, memoryview(bytearray(_READ_BYTES))  # one buffer: new ones would double the time
    while size := file.readinto(block):  # type: ignore[attr-defined]  # files that are open for bytes have it
        for start in range(0, size, page_size):
            yield _sum(page, block[start : start + page_size])
            page += 1


def checked_file(database: Path) -> str | None:
    """The VFS that compares the pages of a file; None for a file in WAL mode, which has to be opened without one.

    Raises:
        OSError: the file cannot be read.
    """
    with database.open("rb") as file:
        header = Header.read(lambda amount, offset: os.pread(file.fileno(), amount, offset))
    return None if header and header.wal else _registered().name


def protection(database: Path) -> str | None:
    """Why pages are not compared; None if they are.

    Raises:
        DamagedDatabase: the checksums are damaged.
        OSError: the file cannot be read.
    """
    with database.open("rb") as file:

        def read(amount: int, offset: int) -> bytes:
            return os.pread(file.fileno(), amount, offset)

        checksums = Checksums.read(read, os.fstat(file.fileno()).st_size, str(database))
        header = Header.read(read)
    if header and header.wal:
        return "it is in WAL mode"
    if checksums is None:
        return "it has no checksums, or was extended since its load"
    return "it was changed since its load" if _changed(header, checksums) else None


def _changed(header: Header | None, checksums: Checksums) -> bool:
    """Whether sqlite wrote to the file after the load. A flipped bit in its counter is not a change: it keeps two."""
    # guard: a flipped counter is not a change
    return header is not None and header.settled and header.changes != checksums.changes


class _CheckedVfs(apsw.VFS):
    """sqlite's default VFS, except that reads of databases are checked."""

    def __init__(self) -> None:
        self.name = _VFS
        super().__init__(_VFS, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - sqlite's
        if flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return _CheckedFile(name, flags)
        return apsw.VFSFile("", name, flags)


class _CheckedFile(apsw.VFSFile):
    """A database whose pages are compared, as they are read, with the checksums at the end of the same file."""

    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._checksums = Checksums.read(super().xRead, self.xFileSize(), self._name)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - sqlite's name
        data = super().xRead(amount, offset)
        checksums = self._checksums
        # Before sqlite holds its lock, it reads the header only; with the lock, it reads all of page 1.
        if checksums is None or offset + amount <= HEADER_BYTES:
            return data
        size = checksums.page_size
        if amount == size and not offset % size:
            self._compare(checksums, offset // size, data)
        else:
            for page in range(offset // size, (offset + amount - 1) // size + 1):
                self._compare(checksums, page, super().xRead(size, page * size))
        return data

    def _compare(self, checksums: Checksums, page: int, data: bytes) -> None:
        # guard: each page is compared with its checksum
        if checksums.hold(page, data):
            return
        if _changed(Header.read(super().xRead), checksums):
            self._checksums = None
            return
        size = checksums.page_size
        raise DamagedDatabase(
            f"page {page + 1:,} of {self._name} (bytes {page * size:,} to {(page + 1) * size - 1:,}) is not as the "
            "load wrote it.",
            remedy=_REMEDY,
        )


@cache
def _registered() -> _CheckedVfs:
    return _CheckedVfs()
