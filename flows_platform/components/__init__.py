"""Sources in YAML: the keys that a file may have, and the Dagster component that reads it."""

from flows_platform.components.windowed_api_table import WindowedApiTable

__all__ = ["WindowedApiTable"]
