"""The files of a window: Parquet, quarantine, ledger, profile."""
