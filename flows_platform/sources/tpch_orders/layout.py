"""The folder of the generated files: their names, and the record of what is in them. Light: the server imports it."""

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from flows_platform.runtime.atomic_files import atomic_path

TPCH_ORDERS = "tpch_orders"  # the source's name
FIRST, LAST = date(1992, 1, 1), date(1998, 8, 1)  # the months of all orders, at every scale
MONTHS = tuple(
    f"{year}-{month:02}"
    for year in range(FIRST.year, LAST.year + 1)
    for month in range(1, 13)
    if FIRST <= date(year, month, 1) <= LAST
)
GENERATED = "generated.json"


@dataclass(frozen=True, slots=True)
class Generated:
    """What the files hold: the scale they were generated at, and their number of orders."""

    scale: float
    orders: int


def month_file(folder: Path, month: str) -> Path:
    """The file of a month, which is written 1995-01."""
    return folder / f"{month}.json"


def read_generated(folder: Path) -> Generated | None:
    """What the files hold; None before the first generation ended, or where that is not known."""
    try:
        return Generated(**json.loads((folder / GENERATED).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def write_generated(folder: Path, generated: Generated) -> None:
    """Record that the files are complete.

    Raises:
        StorageError: it cannot be written.
    """
    with atomic_path(folder / GENERATED) as temporary:
        temporary.write_text(json.dumps(asdict(generated)) + "\n")
