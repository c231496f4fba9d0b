"""A file's content as a stream, plain or out of gzip, bzip2, xz or zip. Other formats are refused by name.

A file's first bytes say what it is, not its name. Memory is constant: xz may need 256 MiB, the others less.
"""

import zlib
from collections.abc import Callable, Iterator
from gzip import BadGzipFile
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol, cast

from isal import igzip, igzip_lib

from flows_platform.domain.errors import InputError

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

READ_BYTES = 1 << 16
XZ_MEMORY = 256 << 20  # xz -9 needs 65 MiB; files with a dictionary of up to 1.5 GiB exist, and are refused
ZIP_IGNORED = ("__MACOSX/",)  # macOS adds these to an archive beside its files
ENCRYPTED = 1  # a bit of a zip member's flags
# isal's stubs leave the first without types and declare the second, a class, as an instance.
_INFLATING = cast("Callable[[BinaryIO, str], BinaryIO]", igzip.open)
INFLATE_ERROR = cast("type[Exception]", igzip_lib.IsalError)
CUT = "it ends before its end marker, or something that is not {kind} follows it"

WIDE_CHARACTERS = 8  # as many in a row with a NUL are not an accident
HEAD_BYTES = 512  # the mark of a tar archive is at byte 257
_UTF8 = "Convert it: `iconv -f {0} -t UTF-8 FILE > NEW`."
_UNPACK = "Unpack it, and name the file of lines."
_NAME = "Name the intended file of comma-separated lines."
# Content that is not lines of ASCII or UTF-8, by the marks it begins with. Marks are in hex, as in lists of file
# formats; of two marks with the same start the longer one comes first.
_FOREIGN: tuple[tuple[int, str, str, str], ...] = (
    (0, "fffe 0000", "is UTF-32 text (its byte order mark says so)", _UTF8.format("UTF-32")),
    (0, "0000 feff", "is UTF-32 text (its byte order mark says so)", _UTF8.format("UTF-32")),
    (0, "fffe", "is UTF-16 text (its byte order mark says so)", _UTF8.format("UTF-16")),
    (0, "feff", "is UTF-16 text (its byte order mark says so)", _UTF8.format("UTF-16")),
    (0, "28b5 2ffd", "is compressed with zstd, which is not read here", _UNPACK),
    (0, "0422 4d18", "is compressed with lz4, which is not read here", _UNPACK),
    (0, "1f9d", "is compressed with compress (.Z), which is not read here", _UNPACK),
    (0, "377a bcaf 271c", "is a 7z archive, which is not read here", _UNPACK),
    (0, "5261 7221 1a07", "is a RAR archive, which is not read here", _UNPACK),
    (257, "7573 7461 72", "is a tar archive, which is not read here", _UNPACK),
    (0, "5351 4c69 7465 2066 6f72 6d61 7420 3300", "is an sqlite database", _NAME),
    (0, "5041 5231", "is a Parquet file", _NAME),
    (0, "4152 524f 5731 0000", "is an Arrow file", _NAME),
    (0, "2550 4446 2d", "is a PDF document", _NAME),
)


class _Decompressor(Protocol):
    """Decompresses one member; `bz2` and `lzma` have one."""

    @property
    def eof(self) -> bool:
        """Whether the member's end mark was read."""

    @property
    def needs_input(self) -> bool:
        """Whether more of the file is needed for more content."""

    @property
    def unused_data(self) -> bytes:
        """What follows the member."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most `max_length` bytes of content."""


def content_pieces(path: Path, file: BinaryIO, size: int) -> Iterator[bytes]:
    """The unpacked content of `file`, in pieces of at most `size` bytes except for the first. Messages name `path`.

    Raises:
        InputError: the file is cut or damaged, packs something that is packed again, or is not lines of UTF-8.
    """
    packed = _packing(file.read(HEAD_BYTES))
    file.seek(0)
    pieces = _unpacked(path, file, packed, size) if packed else _read(file, size)
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= HEAD_BYTES:
            break
    if head:
        # guard: content that is not lines of UTF-8 is refused
        _refuse_foreign(path, head, packed)
        yield head
        yield from pieces


def _packing(head: bytes) -> str | None:
    for kind, (marks, _) in _PACKINGS.items():
        if head.startswith(tuple(bytes.fromhex(mark) for mark in marks)):
            return kind
    return None


def _unpacked(path: Path, file: BinaryIO, kind: str, size: int) -> Iterator[bytes]:
    unpacked = 0
    try:
        for piece in _PACKINGS[kind][1](path, file, size):
            unpacked += len(piece)
            yield piece
    except EOFError as error:
        raise _damaged(path, file, kind, unpacked, CUT.format(kind=kind)) from error
    except OSError as error:
        if error.errno is not None:
            raise  # the disk's; the errors of damaged gzip and bzip2 have no number
        raise _damaged(path, file, kind, unpacked, str(error)) from error
    except _damage(kind) as error:
        raise _damaged(path, file, kind, unpacked, str(error)) from error


def _damage(kind: str) -> tuple[type[Exception], ...]:
    """What the reader of a kind raises for damaged files, beside EOFError and OSError."""
    if kind == "xz":
        from lzma import LZMAError  # noqa: PLC0415 - cleaning starts sooner without these

        return (LZMAError,)
    if kind == "zip":
        from lzma import LZMAError  # noqa: PLC0415 - as above
        from zipfile import BadZipFile  # noqa: PLC0415 - as above

        return (BadZipFile, ValueError, zlib.error, LZMAError)  # zip's own, and those of its compressions
    return (BadGzipFile, INFLATE_ERROR, ValueError)


def _damaged(path: Path, file: BinaryIO, kind: str, unpacked: int, cause: str) -> InputError:
    return InputError(
        f"{path} is a truncated or damaged {kind} file: {cause} (read to byte {file.tell():,} of the file, after "
        f"{unpacked:,} bytes of content).",
        remedy=f"Fetch the file again; `{_TESTS[kind]}` says whether a copy is whole.",
    )


def _refuse_foreign(path: Path, head: bytes, packed: str | None) -> None:
    within = f"the content of {path}, once unpacked from {packed}," if packed else f"{path}"
    again = _packing(head) if packed else None
    if again:
        raise InputError(f"{within} is a {again} file again.", remedy="Unpack it once, and name the result.")
    for start, mark, what, remedy in _FOREIGN:
        if head.startswith(bytes.fromhex(mark), start):
            raise InputError(f"{within} {what}.", remedy=remedy)
    wide = _wide_text(head[:64])
    if wide:
        raise InputError(f"{within} looks like {wide} text: every other byte is NUL.", remedy=_UTF8.format(wide))


def _wide_text(head: bytes) -> str | None:
    """The encoding of UTF-16 without a byte order mark, if its first characters are ASCII."""
    for name, zeros, codes in (("UTF-16LE", head[1::2], head[::2]), ("UTF-16BE", head[::2], head[1::2])):
        if len(zeros) >= WIDE_CHARACTERS and not any(zeros) and all(codes):
            return name
    return None


def _read(file: BinaryIO, size: int) -> Iterator[bytes]:
    while piece := file.read(size):
        yield piece


def _gunzipped(_: Path, file: BinaryIO, size: int) -> Iterator[bytes]:
    yield from _read(_INFLATING(file, "rb"), size)


def _members(file: BinaryIO, size: int, new: Callable[[], _Decompressor], padding: bytes) -> Iterator[bytes]:
    """The content of members that follow each other; `padding` between them is skipped.

    `BZ2File` and `LZMAFile` will not do: after a member they take unreadable bytes for the end of the file, and would
    silently lose a damaged second member.
    """
    data = file.read(READ_BYTES)
    while data:
        member = new()
        while not member.eof:
            if member.needs_input and not data:
                data = file.read(READ_BYTES)
                if not data:
                    # guard: a cut member of bzip2 or xz
                    raise EOFError
            piece = member.decompress(data, size)
            data = b""
            if piece:
                yield piece
        data = (member.unused_data or file.read(READ_BYTES)).lstrip(padding)
        while not data and (data := file.read(READ_BYTES)):
            data = data.lstrip(padding)


def _unbzipped(_: Path, file: BinaryIO, size: int) -> Iterator[bytes]:
    import bz2  # noqa: PLC0415 - see `_damage`

    return _members(file, size, bz2.BZ2Decompressor, b"")


def _unxzed(_: Path, file: BinaryIO, size: int) -> Iterator[bytes]:
    import lzma  # noqa: PLC0415 - see `_damage`

    return _members(file, size, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY), b"\0")


def _unzipped(path: Path, file: BinaryIO, size: int) -> Iterator[bytes]:
    import zipfile  # noqa: PLC0415 - see `_damage`

    with zipfile.ZipFile(file) as archive:
        entries = (entry for entry in archive.infolist() if not entry.is_dir())
        files = [entry for entry in entries if not entry.filename.startswith(ZIP_IGNORED)]
        if len(files) != 1:
            names = ", ".join(entry.filename for entry in files[:5]) + (", …" if files[5:] else "")
            raise InputError(
                f"{path} is a zip archive of {len(files)} files{f' ({names})' if files else ''}, not of one.",
                remedy=_UNPACK,
            )
        with _opened(path, archive, files[0]) as content:
            yield from _read(cast("BinaryIO", content), size)


def _opened(path: Path, archive: "ZipFile", member: "ZipInfo") -> IO[bytes]:
    if member.flag_bits & ENCRYPTED:
        raise InputError(f"{path} is a zip archive with a password, which is not read here.", remedy=_UNPACK)
    try:
        return archive.open(member)
    except NotImplementedError as error:  # Deflate64, for one
        raise InputError(f"{path} is a zip archive that is not read here: {error}.", remedy=_UNPACK) from error


_PACKINGS: dict[str, tuple[tuple[str, ...], Callable[[Path, BinaryIO, int], Iterator[bytes]]]] = {
    "gzip": (("1f8b",), _gunzipped),
    "bzip2": (tuple(f"425a 683{level}" for level in range(1, 10)), _unbzipped),
    "xz": (("fd37 7a58 5a00",), _unxzed),
    "zip": (("504b 0304", "504b 0506", "504b 0708"), _unzipped),
}
_TESTS = {"gzip": "gzip -t", "bzip2": "bzip2 -t", "xz": "xz -t", "zip": "unzip -t"}
