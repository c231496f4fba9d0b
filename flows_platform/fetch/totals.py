"""The number of records that a document declares for its whole range. What it proves is `proof.py`'s."""

from flows_platform.domain.errors import SourceRefused
from flows_platform.wire.decode.footers import COUNT_TEXT


def total_count(value: object) -> int:
    """A total number of records as a document gives it: as a number or as text.

    Raises:
        SourceRefused: it is none.
    """
    if type(value) in {int, str} and COUNT_TEXT.fullmatch(str(value)):
        return int(str(value))
    raise SourceRefused(f"the total number of records is {str(value)[:40]!r}, not a number.")
