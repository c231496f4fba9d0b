"""The pages of docs/reference that are rendered from the code."""

from collections.abc import Callable
from pathlib import Path

from tests.reference import commands, python, report_keys, settings, source_keys, webhook_keys

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands.page,
    "python.md": python.page,
    "report-keys.md": report_keys.page,
    "settings.md": settings.page,
    "source-keys.md": source_keys.page,
    "webhook-keys.md": webhook_keys.page,
}
