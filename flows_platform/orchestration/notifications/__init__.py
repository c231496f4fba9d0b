"""Messages about failed runs and stale tables, sent to the operator's webhook."""
