"""Where data rests: files, sqlite, Parquet, BigQuery. No Dagster here."""
