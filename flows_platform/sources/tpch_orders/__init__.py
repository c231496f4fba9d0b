"""Orders of TPC-H: generated into files, which the API server serves by month."""
