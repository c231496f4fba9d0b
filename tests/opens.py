"""How often files of a folder are opened, by any code of any process: counted by inotify."""

import ctypes
import os
import struct
from collections import Counter
from pathlib import Path

ACCESS, CLOSE_NOWRITE, OPEN = (
    0x1,
    0x10,
    0x20,
)  # of <sys/inotify.h>; equal events in a row come as one, so all are watched
HEADER = struct.Struct("iIII")  # watch, mask, cookie, length of the name
BUFFER = 1 << 20


class Opens:
    """Counts from its creation on."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK)
        if libc.inotify_add_watch(self._descriptor, bytes(folder), ACCESS | CLOSE_NOWRITE | OPEN) < 0:
            raise OSError(ctypes.get_errno(), f"{folder} cannot be watched")
        self._found = Counter[str]()

    def of(self, name: str) -> int:
        """How often the file of that name was opened so far."""
        try:
            while events := os.read(self._descriptor, BUFFER):
                self._count(events)
        except BlockingIOError:
            return self._found[name]
        raise AssertionError("inotify ended")

    def close(self) -> None:
        os.close(self._descriptor)

    def _count(self, events: bytes) -> None:
        position = 0
        while position < len(events):
            _, mask, _, length = HEADER.unpack_from(events, position)
            start, position = position + HEADER.size, position + HEADER.size + length
            if mask & OPEN:
                self._found[events[start:position].rstrip(b"\0").decode()] += 1
