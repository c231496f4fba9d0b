"""Messages about failed runs and stale tables, posted to the operator's URL."""
