"""The YAML of docs/sources.md, in both forms that the page shows."""

import re
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "sources.md"
URL = "https://feed.example/v1/sightings"
REPLACED = ("format", "paging", "verification")


def _blocks() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


def whole_form(url: str = URL) -> str:
    """The file of the page."""
    (whole, _) = _blocks()
    assert URL in whole
    return whole.replace(URL, url)


def other_form(url: str = URL) -> str:
    """The file with the lines of the API's other form instead of its own."""
    (_, lines) = _blocks()
    kept = [
        line for line in whole_form(url).splitlines() if not line.startswith(tuple(f"    {key}:" for key in REPLACED))
    ]
    place = kept.index("  api:") + 1
    return "\n".join([*kept[:place], *lines.splitlines(), *kept[place:]]) + "\n"
