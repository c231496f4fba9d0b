"""The source that docs/sources.md makes of a sample, with the page's corrections; and the same feed in lines."""

import re
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "sources.md"
URL = "https://feed.example/v1/sightings"
LINES = """\
    format: ndjson
    paging: {kind: link_header}
    verification: unverified # lines have no end mark, and the feed gives no count
"""


def blocks(language: str) -> list[str]:
    """The page's fenced blocks of a language; "" for those of commands and what they print."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


def draft() -> str:
    """The draft that the page shows."""
    (drafted, _) = blocks("yaml")
    return drafted


def whole_form(url: str = URL) -> str:
    """The draft with the page's corrections."""
    (drafted, corrected) = blocks("yaml")
    return _with_keys(drafted, corrected).replace(URL, url)


def other_form(url: str = URL) -> str:
    """The source of the feed in lines."""
    kept = [line for line in whole_form(url).splitlines(keepends=True) if not line.startswith("    records:")]
    return _with_keys("".join(kept), LINES)


def _with_keys(source: str, lines: str) -> str:
    """The source with these lines of `api` instead of those with the same key, also if one is a comment."""
    given = lines.splitlines()
    keys = "|".join(line.split(":")[0].strip() for line in given)
    kept = [line for line in source.splitlines() if not re.match(rf"    (# )?({keys}):", line)]
    at = kept.index("  api:") + 2
    return "\n".join([*kept[:at], *given, *kept[at:]]) + "\n"
