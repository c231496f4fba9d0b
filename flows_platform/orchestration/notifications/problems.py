"""Which problems are open, and what changes as looks find more. Pure: no Dagster, no clock, no network.

A problem is one step, job, check or group of assets that is not well, with all its windows or assets that are not: it
opens with the first of them and is healed with the last.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum


class Kind(StrEnum):
    """What is not well."""

    RUN = "run"
    CHECK = "check"
    FRESHNESS = "freshness"


@dataclass(frozen=True, slots=True)
class Story:
    """What a person must know: what went wrong and when (ISO 8601, UTC), what to do, where to look."""

    error: str
    remedy: str
    link: str
    at: str
    job: str = ""
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look saw of a subject: its members (windows, assets, or "" for itself) that fail, and which are well."""

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
    """An open problem. `story` is of its beginning."""

    kind: Kind
    subject: str
    members: tuple[str, ...]
    story: Story


@dataclass(frozen=True, slots=True)
class Change:
    """A problem that opened, or one that is `healed`; `at` when that was found."""

    problem: Problem
    healed: bool
    at: str


type OpenProblems = dict[str, Problem]


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered from look to look: the last event seen, what is open, and messages that did not get out."""

    after: int | None = None
    problems: OpenProblems = field(default_factory=dict)
    unsent: tuple[dict[str, object], ...] = ()

    @classmethod
    def parse(cls, text: str | None) -> "Memory":
        if not text:
            return cls()
        held = json.loads(text)
        problems = {key: _problem(**each) for key, each in held["problems"].items()}
        return cls(held["after"], problems, tuple(held["unsent"]))

    def render(self) -> str:
        return json.dumps(asdict(self))


def _problem(kind: str, subject: str, members: list[str], story: dict[str, str]) -> Problem:
    return Problem(Kind(kind), subject, tuple(members), Story(**story))


def applied(before: OpenProblems, findings: Iterable[Finding]) -> tuple[OpenProblems, list[Change]]:
    """The open problems after the findings, which come in the order of time, and what changed on the whole."""
    problems, last = dict(before), {}
    for finding in findings:
        last[finding.key] = finding.story.at
        known = problems.pop(finding.key, None)
        ill = {member for member in known.members if not finding.well(member)} if known else set()
        # guard: a problem is open until its last window is well
        if members := tuple(sorted(ill | finding.failing)):
            fresh = Problem(finding.kind, finding.subject, members, finding.story)
            problems[finding.key] = replace(known, members=members) if known else fresh
    # guard: a problem is told once
    opened = [Change(each, False, each.story.at) for key, each in problems.items() if key not in before]
    healed = [Change(each, True, last[key]) for key, each in before.items() if key not in problems]
    return problems, healed + opened
