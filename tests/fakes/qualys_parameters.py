"""How Qualys reads the parameters of a call, and the errors it answers with where they are wrong."""

from collections.abc import Callable
from datetime import UTC, datetime
from operator import ge, gt, le, lt
from typing import Literal

from .qualys_objects import written
from .serving import Asked

type Bounds = Literal["[]", "[)", "(]", "()"]


class Refused(Exception):
    """A call that gets a SIMPLE_RETURN."""

    def __init__(self, status: int, code: int, text: str, **items: object) -> None:
        super().__init__(text)
        self.status, self.code, self.text, self.items = status, code, text, items


def above_rate(wait: float) -> Refused:
    seconds = -int(-wait // 1)
    hours, minutes = divmod(seconds // 60, 60)
    text = f"This API cannot be run again for another {hours} hours, {minutes} minutes and {seconds % 60} seconds."
    return Refused(409, 1965, text, SECONDS_TO_WAIT=seconds)


def invalid(name: str, value: str, reason: str) -> Refused:
    return Refused(400, 1905, f"parameter {name} has invalid value: {value} ({reason})")


def number(asked: Asked, name: str, default: int) -> int:
    text = asked.parameters.get(name, str(default))
    if not text.isdecimal():
        raise invalid(name, text, "not a positive integer")
    return int(text)


def ids(asked: Asked) -> set[int] | None:
    text = asked.parameters.get("ids")
    if text is None:
        return None
    if not all(part.isdecimal() for part in text.split(",")):
        raise invalid("ids", text, f"neither a positive integer nor a range: {text}")
    return {int(part) for part in text.split(",")}


def moment(asked: Asked, name: str) -> str:
    """The moment as Qualys writes it, "" where it is not asked for; a date alone is its midnight."""
    text = asked.parameters.get(name, "")
    for pattern in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"):
        try:
            return text and written(datetime.strptime(text, pattern).replace(tzinfo=UTC))
        except ValueError:
            continue
    raise invalid(name, text, "not YYYY-MM-DD[THH:MM:SSZ]")


def within(asked: Asked, since: str, before: str, bounds: Bounds) -> Callable[[str], bool]:
    """Whether a moment, as Qualys writes it, is in the range of these two parameters."""
    first, last = moment(asked, since), moment(asked, before)
    after = ge if bounds[0] == "[" else gt
    until = le if bounds[1] == "]" else lt
    if not first and not last:
        return lambda _: True
    return lambda at: bool(at) and after(at, first) and (not last or until(at, last))
