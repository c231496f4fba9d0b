"""Google's BigQuery client, without pandas: where that is installed, the client imports it for .3 CPU-seconds."""

from flows_platform.runtime.startup import pandas_refused

with pandas_refused():
    from google.cloud import bigquery
    from google.cloud.bigquery import LoadJob, QueryJob, ScalarQueryParameter
    from google.cloud.bigquery.table import Row

__all__ = ["LoadJob", "QueryJob", "Row", "ScalarQueryParameter", "bigquery"]
