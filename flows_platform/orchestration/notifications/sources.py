"""Which files of sources could not be loaded: findings."""

from collections.abc import Iterable, Iterator

import dagster as dg

from flows_platform.orchestration.notifications.problems import Finding, Kind, Problem, Story
from flows_platform.orchestration.notifications.runs import instant
from flows_platform.orchestration.source_faults import GROUP

REMEDY = "Correct the file, and reload the code location under *Deployment*; `flows source check` names all faults."


def faulty_sources(
    repository: dg.RepositoryDefinition, problems: Iterable[Problem], base: str, now: float
) -> Iterator[Finding]:
    """Each file that is not loaded, and each open problem of one that is loaded again."""
    at, seen = instant(now), set[str]()
    for key, definition in repository.assets_defs_by_key.items():
        if key.path[0] == GROUP:
            metadata = definition.get_asset_spec(key).metadata
            file = str(metadata["file"])
            seen.add(file)
            story = Story(str(metadata["fault"]), REMEDY, f"{base}/assets/{'/'.join(key.path)}", at)
            yield Finding(Kind.SOURCE, file, frozenset({""}), frozenset[str]().__contains__, story)
    for problem in problems:
        if problem.kind is Kind.SOURCE and problem.subject not in seen:
            yield Finding(
                problem.kind, problem.subject, frozenset(), frozenset(problem.members).__contains__, problem.story
            )
