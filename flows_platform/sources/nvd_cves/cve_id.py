"""The id of a CVE, and the integer that is its key in every table. Knows no table and no database.

CVE-2021-45357 is 2021 * 10^9 + 45357 = 2021000045357: nine digits for the number, of which the longest ids use seven
so far. Keys sort by year and number, are unique, and are exact in JSON (below 2^53).
"""

import re

from flows_platform.domain.errors import InputError

# Numbers have four digits with leading zeros, or more without: another spelling of a number would share its key.
# guard: one spelling of an id
PATTERN = "CVE-([0-9]{4})-([0-9]{4}|[1-9][0-9]{4,8})"
NUMBERS = 10**9
GRAMMAR = "CVE-, a year, - and a number of 4 to 9 digits, such as CVE-2021-45357"

_ID = re.compile(PATTERN)


def is_cve_id(text: str) -> bool:
    """Whether the text is the id of a CVE."""
    return _ID.fullmatch(text) is not None


def key_of(cve_id: str) -> int:
    """The integer of an id.

    Raises:
        InputError: it is not a CVE id.
    """
    match = _ID.fullmatch(cve_id)
    if match is None:
        raise InputError(f"{cve_id[:60]!a} is not a CVE id.", remedy=f"An id is {GRAMMAR}.")
    return int(match[1]) * NUMBERS + int(match[2])


def id_of(key: int) -> str:
    """The id of an integer that `key_of` gave."""
    year, number = divmod(key, NUMBERS)
    return f"CVE-{year:04}-{number:04}"
