"""What cleaning cannot pass: inflate.py RAW.gz OUT, by the fastest inflater there is, and nothing else."""

import sys

from isal import igzip

SIZE = 1 << 19

with igzip.open(sys.argv[1], "rb") as raw, open(sys.argv[2], "wb") as out:
    while part := raw.read(SIZE):
        out.write(part)
