"""The YAML face of a windowed API: what a file may say, and the Dagster component that reads it."""

from flows_platform.components.windowed_api_table import WindowedApiTable

__all__ = ["WindowedApiTable"]
