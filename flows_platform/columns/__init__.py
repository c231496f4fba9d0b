"""From decoded records to Arrow columns: mapping, casting, the row digest."""
