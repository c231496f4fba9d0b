"""Numbers in a few figures, for charts."""

UNITS = ("", "k", "M", "G", "T", "P", "E")


def short(number: float) -> str:
    """A number in at most four figures and a unit: 12,345 is 12.3k. Below 1, three figures: 0.0625."""
    size, unit = abs(number), 0
    while size >= 999.5 and unit < len(UNITS) - 1:  # noqa: PLR2004 - would be written as 1000
        size, unit = size / 1000, unit + 1
    if unit or size == int(size):
        text = f"{size:.1f}" if unit and size < 99.95 else f"{size:.0f}"  # noqa: PLR2004 - would be written as 100.0
        text = text.removesuffix(".0")
    else:
        text = f"{size:.3g}"
    return ("-" if number < 0 else "") + text + UNITS[unit]
