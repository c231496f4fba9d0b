"""The parts of a sample answer that a draft is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """The records of an answer, what surrounds them, and the keys of `api` that lead to them.

    `instead` says what is there where there are no records, `notes` why a key has its value, and `unreadable` which
    records a run would reject.
    """

    format: str
    records: list[Mapping[str, Any]]
    envelope: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, object] = field(default_factory=dict)
    instead: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()

    @property
    def as_text(self) -> bool:
        """Whether the format has texts alone, so that numbers are texts too."""
        return self.format in {"csv", "xml"}
