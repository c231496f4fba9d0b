"""A client of the reports that an API server serves. To import it takes no time: it loads what it needs when it asks.

from flows_platform.client import Reports

with Reports("https://flows.example.com", token) as reports:
    table = reports.get("busiest_computers", start="2024-01-01", top=20)
"""

from flows_platform.client.reports import Reports

__all__ = ["Reports"]
