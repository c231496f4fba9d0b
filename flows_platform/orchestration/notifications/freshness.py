"""Findings about stale groups of assets, by the freshness that Dagster's pages show."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg

from flows_platform.orchestration.notifications.problems import Finding, Kind, Problem, Story
from flows_platform.orchestration.notifications.runs import instant
from flows_platform.orchestration.partitions import LAG_CHECK

REMEDY = (
    "Check under *Automation* that the table's schedule and sensor are on and their ticks succeed; then look for "
    "failed runs. `flows doctor` says whether API and warehouse answer."
)


def watched(repository: dg.RepositoryDefinition) -> dict[str, list[dg.AssetKey]]:
    """The assets with a freshness policy, by group."""
    groups: dict[str, list[dg.AssetKey]] = {}
    for definition in repository.assets_defs_by_key.values():
        for spec in definition.specs:
            if spec.freshness_policy and spec.key not in groups.setdefault(spec.group_name or "default", []):
                groups[spec.group_name or "default"].append(spec.key)
    return groups


def stale_groups(
    instance: dg.DagsterInstance, groups: Mapping[str, Sequence[dg.AssetKey]], base: str
) -> Iterator[Finding]:
    """One finding per group, with its stale assets: a group whose windows come late is one problem."""
    records = instance.get_freshness_state_records([key for keys in groups.values() for key in keys])
    for group, keys in groups.items():
        stale = [key for key in keys if key in records and records[key].freshness_state.value == "FAIL"]
        changed = max((records[key].updated_at.timestamp() for key in keys if key in records), default=0.0)
        names = frozenset(key.to_user_string() for key in stale)
        fresh = frozenset(key.to_user_string() for key in keys) - names
        shown = (stale or keys)[0]
        error = _lag(instance, stale) or _last(instance, shown) if stale else ""
        link = f"{base}/assets/{'/'.join(shown.path)}"
        story = Story(error, REMEDY, link, instant(changed))
        yield Finding(Kind.FRESHNESS, group, names, fresh.__contains__, story)


def no_longer_watched(problems: Iterable[Problem], groups: Mapping[str, Sequence[dg.AssetKey]]) -> Iterator[Finding]:
    """Findings that heal groups without a freshness policy now, such as after a simulated clock was removed."""
    for problem in problems:
        if problem.kind is Kind.FRESHNESS and problem.subject not in groups:
            well = frozenset(problem.members).__contains__
            yield Finding(problem.kind, problem.subject, frozenset(), well, problem.story)


def _lag(instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey]) -> str:
    """How far the table among these assets is behind, as its check says; empty without a failing check."""
    for key in keys:
        record = instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(key, LAG_CHECK))
        evaluation = record.evaluation if record else None
        if isinstance(evaluation, dg.AssetCheckEvaluation) and not evaluation.passed:
            return evaluation.description or ""
    return ""


def _last(instance: dg.DagsterInstance, key: dg.AssetKey) -> str:
    """When the last window came."""
    event = instance.get_latest_materialization_event(key)
    if event is None or event.asset_materialization is None:
        return "no window has come yet."
    window = event.asset_materialization.partition
    return f"no window has come since {instant(event.timestamp)}{f', when it was {window}' if window else ''}."
