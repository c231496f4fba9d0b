"""Messages about failed runs, failed checks and stale tables, posted to the operator's URL."""
