"""The digest of a document of lines: the sum of the hashes of its lines, but for the last one, which is the footer.

It proves that the lines came as they were sent, whatever is in them: a digest of rows cannot cover fields that no
column takes. The sum is that of `domain.verification`.
"""

from collections.abc import Sequence

from flows_platform.domain.verification import RowDigest
from flows_platform.formats.protocol.canonical import sum_of_hashes
from flows_platform.formats.protocol.metered_reader import ByteSource

LINE_END = b"\n"


def lines_digest(lines: Sequence[bytes]) -> RowDigest:
    """The number of these lines, and the sum of their hashes; they are without their ends."""
    return RowDigest(len(lines), sum_of_hashes(lines)) if lines else RowDigest()


class LineDigest:
    """Passes the bytes of a document on, and adds up the hashes of its lines."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._sum = RowDigest()
        self._last: list[bytes] = []  # the last whole line, which may be the footer
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; b"" only at the end."""
        data = self._source.read(size)
        *lines, self._rest = (self._rest + data).split(LINE_END)
        before = [*self._last, *lines]
        before, self._last = before[:-1], before[-1:]
        self._sum += lines_digest(before)
        return data

    @property
    def digest(self) -> RowDigest:
        """The number of lines before the last whole one, and the sum of their hashes."""
        return self._sum
