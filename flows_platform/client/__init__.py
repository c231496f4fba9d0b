"""A client for the reports of an API server. It is cheap to import: it loads what it needs with the first request.

from flows_platform.client import Reports

with Reports("https://flows.example.com", token) as reports:
    table = reports.get("busiest_computers", start="2024-01-01", top=20)
"""

from flows_platform.client.reports import Reports

__all__ = ["Reports"]
