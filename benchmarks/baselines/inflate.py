"""The limit of cleaning: only inflating, by the fastest inflater. inflate.py RAW.gz OUT."""

import sys

from isal import igzip

SIZE = 1 << 19

with igzip.open(sys.argv[1], "rb") as raw, open(sys.argv[2], "wb") as out:
    while data := raw.read(SIZE):
        out.write(data)
