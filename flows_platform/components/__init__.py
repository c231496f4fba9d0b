"""Sources in YAML: the keys that a file may have, and the Dagster components that read it."""

from flows_platform.components.report_component import Report
from flows_platform.components.webhook_table import WebhookTable
from flows_platform.components.windowed_api_table import WindowedApiTable

__all__ = ["Report", "WebhookTable", "WindowedApiTable"]
