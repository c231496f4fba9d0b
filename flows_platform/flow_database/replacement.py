"""Whether the rows of a file may replace the present ones: those of a wrong or cut file must not.

The check comes after everything is counted, and before anything is replaced.
"""

from dataclasses import dataclass
from pathlib import Path

from flows_platform.domain.errors import InputError

MAX_REJECTED_SHARE = 0.01
MAX_SHRINK = 0.5
SHOWN_LINE = 60  # bytes of a rejected line in a message
_REMEDY = (
    "Check that this is the intended file. If it is, say so with --allow-shrink, or with allow_shrink: true in the "
    "run's config"
)


@dataclass(frozen=True, slots=True)
class ReplacementRules:
    """Above which shares of rejected lines, and of rows lost since before, a file counts as wrong; both from 0 to 1."""

    max_rejected_share: float = MAX_REJECTED_SHARE
    max_shrink: float = MAX_SHRINK
    allow_shrink: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """The result of reading `source` for `target`, which holds `before` rows; None: it is missing or not ours.

    `named` lines are rejected as what they are known to be, such as a header line, and do not count as faults.
    """

    source: Path
    target: Path
    rows: int
    rejected: int
    named: int
    before: int | None
    first_reject: str | None


def require_replaceable(counted: Counted, rules: ReplacementRules) -> None:
    """Refuse a result that looks like that of a wrong file.

    Raises:
        InputError: there are no rows, or more rejected lines or fewer rows than `rules` allow.
    """
    fault = None if rules.allow_shrink else _fault(counted, rules)
    if fault:
        reason, setting = fault
        raise InputError(f"{counted.source} {reason} {counted.target} stays as it was.", remedy=_REMEDY + setting)


def _fault(counted: Counted, rules: ReplacementRules) -> tuple[str, str] | None:
    rows, lines = counted.rows, counted.rows + counted.rejected
    first = f" The first is {counted.first_reject}." if counted.first_reject else ""
    if not lines:
        return "holds no lines.", "."
    if not rows:
        return f"gives no rows: all of its {lines:,} lines were rejected.{first}", "."
    rejected = counted.rejected - counted.named
    if rejected > rules.max_rejected_share * (lines - counted.named):
        limit = f"{rules.max_rejected_share:.2%}"
        return (
            f"has {rejected:,} rejected lines among {lines:,}, more than {limit} of them.{first}",
            "; or allow more with --max-rejected-share or FLOWS_MAX_RAW_REJECTED_SHARE.",
        )
    # guard: a shrunk file is refused
    if counted.before is not None and rows < (1 - rules.max_shrink) * counted.before:
        lost = f"more than {rules.max_shrink:.0%} of them would be gone"
        return (
            f"gives {rows:,} rows where {counted.target} holds {counted.before:,}: {lost}.",
            "; or allow it always with --max-shrink or FLOWS_MAX_RAW_SHRINK.",
        )
    return None


def described_reject(number: int, reason: str, line: bytes) -> str:
    """A rejected line for a message: its number, the reason, its start, and what may be wrong with its file."""
    shown = line[:SHOWN_LINE].decode(errors="backslashreplace")
    return f"line {number:,}: {reason}: {shown + '…' * (len(line) > SHOWN_LINE)!r}{_guess(line)}"


def _guess(line: bytes) -> str:
    if b"\r" in line.removesuffix(b"\r"):
        return " (its lines end in carriage returns alone; `tr '\\r' '\\n' < FILE > NEW` fixes that)"
    return ""
