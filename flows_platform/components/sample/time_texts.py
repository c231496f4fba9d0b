"""Strftime texts that a sample's times may be written by: what other APIs use, tried on one value."""

import re
from collections.abc import Iterator

from flows_platform.columns.time_forms import DATE_TEXT
from flows_platform.domain.strftime import strftime_reader

_DATES = (
    *(DATE_TEXT, "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%-d/%-m/%Y", "%-m/%-d/%Y"),
    *("%d %b %Y", "%-d %b %Y", "%d %B %Y", "%-d %B %Y", "%d-%b-%Y", "%d/%b/%Y"),
    *("%b %d, %Y", "%b %-d, %Y", "%B %d, %Y", "%B %-d, %Y"),
    *("%a, %d %b %Y", "%a, %-d %b %Y", "%A, %d %B %Y"),
)
_CLOCKS = {
    "%H:%M:%S.%f": r"[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]+",
    "%H:%M:%S,%f": r"[0-9]{2}:[0-9]{2}:[0-9]{2},[0-9]+",
    "%I:%M:%S %p": r"[0-9]{2}:[0-9]{2}:[0-9]{2} [AaPp][Mm]",
    "%-I:%M:%S %p": r"[0-9]{1,2}:[0-9]{2}:[0-9]{2} [AaPp][Mm]",
    "%I:%M %p": r"[0-9]{2}:[0-9]{2} [AaPp][Mm]",
    "%-I:%M %p": r"[0-9]{1,2}:[0-9]{2} [AaPp][Mm]",
    "%H:%M:%S": r"[0-9]{2}:[0-9]{2}:[0-9]{2}",
    "%H:%M": r"[0-9]{2}:[0-9]{2}",
    "%H%M%S": r"[0-9]{6}",
}
_ZONES = {"": "", "Z": "Z", " %Z": " (?:UTC|GMT)", " %z": " [+-][0-9]{2}:?[0-9]{2}", "%z": "[+-][0-9]{2}:?[0-9]{2}"}
_BETWEEN = ("", " ", "T", ":", ", ")
_OTHERS = ("%a %b %e %H:%M:%S %Y", "%a %b %d %H:%M:%S %z %Y")
_ORDERS = {"%d/%m": "%m/%d", "%-d/%-m": "%-m/%-d", "%d-%m": "%m-%d"}


def is_day(text: str) -> bool:
    """Whether the text says a day alone."""
    return text in _DATES


def time_texts(value: str) -> Iterator[tuple[str, str]]:
    """The forms that may have written the value, and for each a comment. A later value may show that one is wrong."""
    for text in (*_by_date(value), *(text for text in _OTHERS if strftime_reader(text).read(value))):
        other = next((text.replace(order, swapped) for order, swapped in _ORDERS.items() if text.startswith(order)), "")
        both = other and strftime_reader(other).read(value, truncates=True)
        zoned = text.endswith(("Z", "%z")) or text in _OTHERS or is_day(text)
        yield (
            text,
            "; ".join(
                filter(
                    None, [f"guess: the day comes first; or {other}" if both else "", "" if zoned else "taken for UTC"]
                )
            ),
        )


def _by_date(value: str) -> Iterator[str]:
    for date in _DATES:
        begun = strftime_reader(date).pattern.match(value)
        if begun is None:
            continue
        rest = value[begun.end() :]
        texts = (date + after for after in (_clocks(rest) if rest else [""]))
        yield from (text for text in texts if strftime_reader(text).read(value, truncates=True))


def _clocks(rest: str) -> Iterator[str]:
    """What may follow a date in the text."""
    for between in _BETWEEN:
        for clock, pattern in _CLOCKS.items():
            for zone, written in _ZONES.items():
                if re.fullmatch(re.escape(between) + pattern + written, rest, re.ASCII):
                    yield between + clock + zone
