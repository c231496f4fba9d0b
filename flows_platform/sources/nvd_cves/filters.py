"""What readers may ask about CVEs, as plain values: importing them loads no database library."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class CveFilter:
    """Which CVEs to list; a field that is None does not filter. Scores and `modified_since` are inclusive."""

    id: str | None = None
    keyword: str | None = None
    severity: str | None = None
    min_score: float | None = None
    max_score: float | None = None
    modified_since: datetime | None = None
    attack_vector: str | None = None


class Aspect(StrEnum):
    """What CVEs are counted by; the value is the column."""

    SEVERITY = "base_severity"
    IMPACT = "impact_score"
    EXPLOITABILITY = "exploitability_score"
    ATTACK_VECTOR = "attack_vector"
