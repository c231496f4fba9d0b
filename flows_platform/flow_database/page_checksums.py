"""Checksums of a database's pages: written behind its last page by the load, compared with each page that is read.

A page is the range whose digest is kept: whatever sqlite reads (rows, index, facts, schema) passes the comparison, each
time it comes from the file and not only the first time. sqlite itself does not look behind the last page.

    pages   each `page size` bytes
    sums    4 bytes a page, little-endian: CRC-32 of the page, begun with its number, so that no page can stand in for
            another
    tail    page size, number of pages, sqlite's counter of changes (4 bytes each, little-endian); the first 16 bytes of
            the SHA-256 of sums and these three; 16 bytes that say what this is
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
_REMEDY = "Build the database again with `flows load`, and check the disk that it lies on."

type Read = Callable[[int, int], bytes]  # so many bytes from an offset on


class DamagedDatabase(InputError):
    """The file holds other bytes than the load wrote, and no sqlite has changed it since."""


@dataclass(frozen=True, slots=True)
class Header:
    """The part of sqlite's own header that says which state the file is in."""

    page_size: int
    pages: int
    changes: int
    settled: bool  # whether the sqlite that counted the last change knew how many pages there are
    wal: bool

    @classmethod
    def read(cls, read: Read) -> Self | None:
        """The header; None where the file is no sqlite database."""
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
    """The checksums of a load, and the state of the file that they are of."""

    page_size: int
    pages: int
    changes: int
    sums: bytes

    @classmethod
    def read(cls, read: Read, size: int, name: str) -> Self | None:
        """Those at the end of a file of `size` bytes; None where there are none that hold.

        Raises:
            DamagedDatabase: they are not whole, and it was not sqlite that wrote over them.
        """
        header = Header.read(read)
        tail = read(_TAIL_BYTES, size - _TAIL_BYTES) if size > _TAIL_BYTES else b""
        if not tail.endswith(MARK):
            if header and header.page_size and size % header.page_size:
                raise DamagedDatabase(f"{name} ends neither with a page nor with checksums.", remedy=_REMEDY)
            return None
        page_size, pages, changes = _NUMBERS.unpack_from(tail)
        if header and header.settled and header.changes != changes and header.pages > pages:
            return None  # pages that were added lie where the sums were
        wanted = pages * _SUM_BYTES
        sums = read(wanted, size - _TAIL_BYTES - wanted) if wanted < size else b""
        # guard: damaged checksums are damage
        if _tail(page_size, pages, changes, sums) != tail or size != pages * page_size + wanted + _TAIL_BYTES:
            raise DamagedDatabase(f"the checksums at the end of {name} are damaged.", remedy=_REMEDY)
        return cls(page_size, pages, changes, sums)

    def hold(self, page: int, data: bytes) -> bool:
        """Whether these are the bytes of a page, counted from 0."""
        place = page * _SUM_BYTES
        return self.sums[place : place + _SUM_BYTES] == _sum(page, data)


def _sum(page: int, data: bytes | memoryview) -> bytes:
    return isal_zlib.crc32(data, page).to_bytes(_SUM_BYTES, "little")


def _tail(page_size: int, pages: int, changes: int, sums: bytes) -> bytes:
    numbers = _NUMBERS.pack(page_size, pages, changes)
    return numbers + sha256(sums + numbers).digest()[:_DIGEST_BYTES] + MARK


def append_checksums(database: Path) -> None:
    """Write the checksums of a closed, new database behind its last page; raises OSError where that fails."""
    with database.open("r+b") as file:
        header = Header.read(lambda amount, offset: os.pread(file.fileno(), amount, offset))
        if header is None:
            raise DamagedDatabase(f"{database} is no sqlite database.", remedy=_REMEDY)
        sums = b"".join(_sums(file, header.page_size))
        file.write(sums + _tail(header.page_size, len(sums) // _SUM_BYTES, header.changes, sums))


def _sums(file: BinaryIO, page_size: int) -> Iterator[bytes]:
    page, block = 0, memoryview(bytearray(_READ_BYTES))  # one buffer for all: a new one for each costs as much again
    while size := file.readinto(block):  # type: ignore[attr-defined]  # files that are open for bytes have it
        for place in range(0, size, page_size):
            yield _sum(page, block[place : place + page_size])
            page += 1


def checked_file(database: Path) -> str | None:
    """The VFS that compares the pages of a file, None where it has to be opened without one: in WAL mode.

    Raises:
        OSError: the file cannot be read.
    """
    with database.open("rb") as file:
        header = Header.read(lambda amount, offset: os.pread(file.fileno(), amount, offset))
    return None if header and header.wal else _registered().name


def protection(database: Path) -> str | None:
    """Why nothing is compared; None where each page is.

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
    """Whether an sqlite wrote to the file after the load. A flipped bit of its counter is no change: it has two."""
    # guard: a flipped counter is no change
    return header is not None and header.settled and header.changes != checksums.changes


class _CheckedVfs(apsw.VFS):
    """sqlite's own way to files, but for the reading of databases."""

    def __init__(self) -> None:
        self.name = _VFS
        super().__init__(_VFS, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - sqlite's
        if flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return _CheckedFile(name, flags)
        return apsw.VFSFile("", name, flags)


class _CheckedFile(apsw.VFSFile):
    """A database whose pages are compared as they are read, with the checksums that this very file ends with."""

    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._checksums = Checksums.read(super().xRead, self.xFileSize(), self._name)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - sqlite's name
        data = super().xRead(amount, offset)
        checksums = self._checksums
        # Before sqlite holds its lock it looks at the header alone; it reads all of page 1 once it does.
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
            f"page {page + 1:,} of {self._name} (bytes {page * size:,} to {(page + 1) * size - 1:,}) is not the one "
            "that the load wrote.",
            remedy=_REMEDY,
        )


@cache
def _registered() -> _CheckedVfs:
    return _CheckedVfs()
