"""Open problems, and how findings change them. Pure: no Dagster, no clock, no network.

A problem is one step, job, check or group of assets with failing members (windows or assets): it opens with the first
failing member and is healed when the last one is well.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum


class Kind(StrEnum):
    """What a problem is about."""

    RUN = "run"
    CHECK = "check"
    FRESHNESS = "freshness"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Story:
    """What a person needs to know: what went wrong and when (ISO 8601, UTC), what to do, where to look."""

    error: str
    remedy: str
    link: str
    at: str
    job: str = ""
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one tick saw of a subject: its failing members (windows, assets, or "" for itself), and which are well."""

    kind: Kind
    subject: str
    failing: frozenset[str]
    well: Callable[[str], bool]
    story: Story

    @property
    def key(self) -> str:
        return f"{self.kind} {self.subject}"


@dataclass(frozen=True, slots=True)
class Problem:
    """An open problem. `story` describes how it began."""

    kind: Kind
    subject: str
    members: tuple[str, ...]
    story: Story


@dataclass(frozen=True, slots=True)
class Change:
    """A problem that opened or was `healed`; `at` is when that was found."""

    problem: Problem
    healed: bool
    at: str


type OpenProblems = dict[str, Problem]


@dataclass(frozen=True, slots=True)
class Memory:
    """What is kept between ticks: the last event seen, open problems, and messages that could not be sent."""

    after: int | None = None
    problems: OpenProblems = field(default_factory=dict)
    unsent: tuple[dict[str, object], ...] = ()

    @classmethod
    def parse(cls, text: str | None) -> "Memory":
        if not text:
            return cls()
        held = json.loads(text)
        problems = {key: _problem(**fields) for key, fields in held["problems"].items()}
        return cls(held["after"], problems, tuple(held["unsent"]))

    def render(self) -> str:
        return json.dumps(asdict(self))


def _problem(kind: str, subject: str, members: list[str], story: dict[str, str]) -> Problem:
    return Problem(Kind(kind), subject, tuple(members), Story(**story))


def applied(before: OpenProblems, findings: Iterable[Finding]) -> tuple[OpenProblems, list[Change]]:
    """The open problems after these findings, which are in order of time, and the overall changes."""
    problems, last = dict(before), {}
    for finding in findings:
        last[finding.key] = finding.story.at
        known = problems.pop(finding.key, None)
        ill = {member for member in known.members if not finding.well(member)} if known else set()
        # guard: a problem is open until its last window is well
        if members := tuple(sorted(ill | finding.failing)):
            fresh = Problem(finding.kind, finding.subject, members, finding.story)
            problems[finding.key] = replace(known, members=members) if known else fresh
    # guard: a problem is reported once
    opened = [Change(problem, False, problem.story.at) for key, problem in problems.items() if key not in before]
    healed = [Change(problem, True, last[key]) for key, problem in before.items() if key not in problems]
    return problems, healed + opened
