"""BigQuery: tables, load jobs, and the MERGE that replaces one window.

The package imports Google's client first, without pandas, whose import takes 0.3 CPU-seconds.
"""

from flows_platform.runtime.imports import pandas_refused

with pandas_refused():
    import google.cloud.bigquery  # noqa: F401 - for its side effect: the modules below find it loaded
