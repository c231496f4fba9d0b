"""A body that is itself a gzip or zip file: its files as bytes, in constant memory, each proven to its end.

A zip file is read from a temporary file: only the list at its end says which files it holds. Local headers, which a
reader of a stream would follow, may name files that were deleted, and leave out sizes.
"""

import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import chain
from operator import attrgetter
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, cast

from flows_platform.domain.errors import SourceRefused, StorageError, StreamIncomplete, named_in_errors
from flows_platform.fetch.http.decompression import CHUNK, Decompressed, Expansion, Gzip, Identity
from flows_platform.formats.protocol.metered_reader import ByteSource

GZIP_START = b"\x1f\x8b"
ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # a file, or the end of a zip file without files
SPOOL_BYTES = 4 << 30  # of a zip file, at most
IN_MEMORY = 1 << 20  # bytes of a zip file that need no file on the disk
LIST_BYTES = 1 << 20  # of a zip file's list; 10,000 files take half of it
END_START = ZIP_STARTS[1]
END_RECORD = 22  # bytes of the end record, without its comment
LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, and the lengths of name and extra field
DESCRIPTOR = 24  # the most bytes of a data descriptor
SIZES_FOLLOW = 0x08  # flags of a file: a data descriptor follows its data
ENCRYPTED = 0x01 | 0x40 | 0x2000
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # bounded in memory; zipfile's others are not
MACOS = "__MACOSX"  # folder of the resource files `._NAME`
SHOWN = 100  # bytes of another body, or characters of a name, in a message
UNKNOWN = frozenset({"application/octet-stream", "binary/octet-stream"})


class Packing(StrEnum):
    """What kind of file the body is."""

    GZIP = "gzip"
    ZIP = "zip"

    @property
    def media_types(self) -> frozenset[str]:
        """The content types under which such files are sent."""
        return UNKNOWN | _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    Packing.GZIP: frozenset({"application/gzip", "application/x-gzip"}),
    Packing.ZIP: frozenset({"application/zip", "application/x-zip-compressed", "application/x-zip"}),
}


@dataclass(frozen=True, slots=True)
class UnpackedFile:
    """One file of a packed body; the name is empty where the body holds one file alone."""

    name: str
    source: Decompressed

    def errors(self) -> AbstractContextManager[None]:
        """Name the file in an error that is raised inside."""
        return named_in_errors(f"in {self.name!r}" if self.name else "")


@dataclass(frozen=True, slots=True)
class Unpacking:
    """How bodies are unpacked; zip files are spooled in `folder`."""

    packing: Packing
    folder: Path
    most: int = SPOOL_BYTES

    def files(self, body: ByteSource, *, decoded: bool) -> Iterator[UnpackedFile]:
        """The files of the body, one after the other; read each to its end before the next one.

        `decoded` says that the transfer already undid a coding of gzip. Some servers announce a gzip file itself as
        that coding; what is not gzip then is the file's content.

        Raises:
            StreamIncomplete: the packed file is cut or damaged.
            SourceRefused: the body is another kind of file, uses something that is not supported, or expands more than
                real data does.
            StorageError: the folder cannot be written.
        """
        if self.packing is Packing.ZIP:
            yield from self._of_zip(body)
        else:
            yield UnpackedFile("", _of_gzip(body, decoded=decoded))

    def _of_zip(self, body: ByteSource) -> Iterator[UnpackedFile]:
        head = _start(body, len(ZIP_STARTS[0]))
        if not any(start.startswith(head) for start in ZIP_STARTS):
            raise _not_packed(self.packing, head, body)
        with self._spooled(chain([head], _pieces(body))) as (file, size):
            with _zip_errors():
                archive = zipfile.ZipFile(cast("IO[bytes]", _Bounded(file, size)))
            with archive:
                with _zip_errors():
                    _require_whole(archive, file, size)
                expansion = Expansion()
                for info in archive.infolist():
                    if not _is_beside(info):
                        with _zip_errors():
                            opened = archive.open(info)
                        receive = _receiver(opened, expansion, size)
                        yield UnpackedFile(info.filename[:SHOWN], Decompressed(receive, Identity()))

    @contextmanager
    def _spooled(self, pieces: Iterable[bytes]) -> Iterator[tuple[IO[bytes], int]]:
        """The body in a file that has no name and vanishes with the process, and its size."""
        size = 0
        with ExitStack() as opened:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                file = opened.enter_context(SpooledTemporaryFile(IN_MEMORY, dir=str(self.folder)))
            except OSError as error:
                raise self._storage_error(error) from error
            for piece in pieces:
                size += len(piece)
                # guard: bytes of a zip file
                if size > self.most:
                    raise SourceRefused(
                        f"the zip file is larger than {self.most:,} bytes.", remedy="Ask for shorter windows."
                    )
                try:
                    file.write(piece)
                except OSError as error:
                    raise self._storage_error(error) from error
            yield cast("IO[bytes]", file), size

    def _storage_error(self, error: OSError) -> StorageError:
        return StorageError(
            f"a zip file cannot be kept in {self.folder} while it is read: {error.strerror or error}.",
            remedy="Free space, or correct the permissions.",
        )


def _is_beside(info: zipfile.ZipInfo) -> bool:
    """Whether it is a folder, as Windows may write it too, or what macOS keeps beside a file."""
    *folders, name = info.filename.replace("\\", "/").split("/")
    return (not name and not info.file_size) or (folders[:1] == [MACOS] and name.startswith("._"))


def _of_gzip(body: ByteSource, *, decoded: bool) -> Decompressed:
    head = _start(body, len(GZIP_START))
    receive = partial(next, chain([head], _pieces(body)), b"")
    if head == GZIP_START[: len(head)]:
        return Decompressed(receive, Gzip())
    if not decoded:
        raise _not_packed(Packing.GZIP, head, body)
    return Decompressed(receive, Identity())


def _pieces(body: ByteSource) -> Iterator[bytes]:
    return iter(partial(body.read, CHUNK), b"")


def _start(body: ByteSource, size: int) -> bytes:
    """The first bytes of the body, fewer only where it has fewer."""
    start = b""
    while len(start) < size and (piece := body.read(size - len(start))):
        start += piece
    return start


def _not_packed(packing: Packing, head: bytes, body: ByteSource) -> SourceRefused:
    shown = head + _start(body, SHOWN)
    return SourceRefused(
        f"the body is not a {packing} file: it begins with {shown!r}.",
        remedy="Check the URL; if the answer is not packed, leave out `unpack`.",
    )


def _receiver(opened: IO[bytes], expansion: Expansion, size: int) -> Callable[[], bytes]:
    """A function that reads one file of a zip file of `size` bytes. zipfile compares the checksum at its end."""

    def receive() -> bytes:
        with _zip_errors():
            piece = opened.read(CHUNK)
        # guard: a zip file stays in proportion
        expansion.check(size, len(piece))
        return piece

    return receive


@contextmanager
def _zip_errors() -> Iterator[None]:
    """Turn the errors of zipfile into the platform's."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError) as error:
        raise StreamIncomplete(f"the zip file is cut or damaged ({str(error) or 'it ends early'}).") from error
    except NotImplementedError as error:
        raise SourceRefused(f"the zip file uses what is not supported: {error}.") from error


def _require_whole(archive: zipfile.ZipFile, file: IO[bytes], size: int) -> None:
    """Refuse a zip file whose list leaves bytes out, or names a file twice or one that cannot be read.

    Two zip files after each other would otherwise be read as the second alone.
    """
    file.seek(max(0, size - END_RECORD - len(archive.comment)))
    # guard: nothing follows a zip file
    if file.read(len(END_START)) != END_START:
        raise SourceRefused("bytes follow the end of the zip file.")
    files = archive.infolist()
    for info in files:
        _require_readable(info)
    names = Counter(info.filename for info in files)
    # guard: a zip file names a file once
    if twice := [name for name, count in names.items() if count > 1]:
        raise SourceRefused(f"the zip file lists {twice[0][:SHOWN]!r} twice.")
    spans = [_span(file, info) for info in sorted(files, key=attrgetter("header_offset"))]
    ends = [(0, 0), *((end, end + more) for _, end, more in spans)]
    starts = [*(start for start, _, _ in spans), archive.start_dir]
    for (first, last), start in zip(ends, starts, strict=True):
        # guard: a zip file's list covers its bytes
        if not first <= start <= last:
            raise SourceRefused(
                f"the zip file has {start - last:,} bytes at {last:,} that its list does not name."
                if start > last
                else "files of the zip file overlap."
            )


def _require_readable(info: zipfile.ZipInfo) -> None:
    if info.flag_bits & ENCRYPTED:
        raise SourceRefused(f"{info.filename[:SHOWN]!r} in the zip file is encrypted, which is not supported.")
    if info.compress_type not in METHODS:
        raise SourceRefused(
            f"{info.filename[:SHOWN]!r} in the zip file is compressed by method {info.compress_type}; only stored (0) "
            "and deflated (8) files are read."
        )


def _span(file: IO[bytes], info: zipfile.ZipInfo) -> tuple[int, int, int]:
    """Where a file of the zip file begins and where its data ends, and the most bytes that may follow these."""
    file.seek(info.header_offset)
    signature, name, extra = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    if signature != ZIP_STARTS[0]:
        raise zipfile.BadZipFile(f"there is no file at {info.header_offset:,}")
    end = info.header_offset + LOCAL_HEADER.size + name + extra + info.compress_size
    return info.header_offset, end, DESCRIPTOR if info.flag_bits & SIZES_FOLLOW else 0


class _Bounded:
    """The file as zipfile reads it: no read is larger than the list may be, which zipfile reads at once."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        left = self._size - self._file.tell()
        asked = left if size < 0 else min(size, left)
        # guard: the list of a zip file
        if asked > LIST_BYTES:
            raise SourceRefused(f"the list of the zip file's files takes {asked:,} bytes, over {LIST_BYTES:,}.")
        return self._file.read(asked)
