"""A list of keys in little memory, whose length is known before the first key is read."""

from collections.abc import Iterable, Iterator
from itertools import batched
from tempfile import SpooledTemporaryFile

IN_MEMORY = 1 << 20  # bytes, some 15,000 keys; longer lists go to an unnamed file


class KeyList:
    """Keys in their order. The list must be closed."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.count = 0
        self._file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - `close` closes it
        try:
            for key in keys:
                self._file.write(key.encode() + b"\n")
                self.count += 1
            self._file.seek(0)
        except BaseException:
            self._file.close()
            raise

    def chunks(self, size: int) -> Iterator[list[str]]:
        """The keys, up to `size` at a time. May be called once."""
        for keys in batched(self, size, strict=False):
            yield [*keys]

    def __iter__(self) -> Iterator[str]:
        """The keys. May be called once."""
        for line in self._file:
            yield line.rstrip(b"\n").decode()

    def close(self) -> None:
        """Free memory and file."""
        self._file.close()
