"""A time-windowed HTTP API into BigQuery, exactly.

Imports run one way: domain → wire, stores, fetch → resources, partitions, checks → sources → definitions.
"""

import os

# Nothing here multiplies matrices: the threads that numpy starts for that spin for .06 CPU-seconds in each process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
