"""Exact decimal numbers as a NUMERIC column holds them: 38 digits, 9 of them after the point."""

import re
from decimal import ROUND_DOWN, Context, Decimal, Inexact, InvalidOperation

DIGITS, DECIMALS = 38, 9  # as BigQuery's NUMERIC has them
WHOLE = DIGITS - DECIMALS  # digits before the point, at most
# Such a number as JSON writes it, without an exponent.
PLAIN = re.compile(rf"-?(?:0|[1-9][0-9]{{0,{WHOLE - 1}}})(?:\.[0-9]{{1,{DECIMALS}}})?", re.ASCII)
_LAST = Decimal(1).scaleb(-DECIMALS)
# Inexact is raised before a digit is lost; rounding down, the digits before the point never become more.
_EXACT = Context(prec=DIGITS, rounding=ROUND_DOWN, traps=[Inexact, InvalidOperation])


def exact(number: Decimal) -> Decimal:
    """The number with nine decimals.

    Raises:
        Inexact: it has more than nine decimals that are not 0.
        InvalidOperation: it has more than 29 digits before the point, or is infinite.
    """
    # guard: a decimal is never rounded
    return _EXACT.quantize(number, _LAST)


def plain(number: Decimal, decimals: int = 0) -> str:
    """The number without an exponent, and with at least so many decimals: 1.50 and 15e-1 are `1.5`, or `1.50`."""
    text = f"{number:f}" if number else "0"
    whole, _, rest = text.partition(".")
    rest = rest.rstrip("0").ljust(decimals, "0")
    return f"{whole}.{rest}" if rest else whole
