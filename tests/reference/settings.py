"""docs/reference/settings.md: every setting, its default and its meaning."""

from datetime import datetime

from flows_platform.settings import PREFIX, Settings

INTRODUCTION = """\
# Settings

Settings are environment variables. `flows doctor` finds names that are misspelt and values that are not allowed.
"""


def page() -> str:
    """The page, rendered from the fields of `Settings`."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_shown(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join([INTRODUCTION, "| Variable | Default | Meaning |", "|---|---|---|", *rows, ""])


def _shown(default: object) -> str:
    if default is None or default in {"", ()}:
        return "none"
    return f"`{default:%Y-%m-%dT%H:%M:%SZ}`" if isinstance(default, datetime) else f"`{default}`"
