"""BigQuery: tables, load jobs, and the MERGE that replaces one window."""
