"""Findings about steps, jobs and checks from ended runs, in the order in which the runs ended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

import dagster as dg

from flows_platform.orchestration.notifications.problems import Finding, Kind, Story
from flows_platform.orchestration.partitions import PARTITION, RANGE_END, RANGE_START

AT_ONCE = 100  # ended runs that one tick reads, at most

WILL_RETRY = "dagster/will_retry"

RUN_REMEDY = (
    "Fix what the error names. Then materialise the failed assets again; for windows, launch a backfill with *Failed "
    "and missing*."
)
CHECK_REMEDY = "Open the check: its figures show what differs. To evaluate it again, materialise the asset again."

REPORTED = {
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
}


def newest_end(instance: dg.DagsterInstance) -> int:
    """The event of the run that ended last."""
    found = (instance.fetch_run_status_changes(ends, limit=1).records for ends in _ends())
    return max((record.storage_id for records in found for record in records), default=0)


def ended_after(instance: dg.DagsterInstance, after: int) -> Sequence[dg.EventLogRecord]:
    """The ends of runs after that event, oldest first, at most `AT_ONCE`."""
    found: list[dg.EventLogRecord] = []
    for ends in _ends(after):
        found += instance.fetch_run_status_changes(ends, limit=AT_ONCE, ascending=True).records
    return sorted(found, key=lambda record: record.storage_id)[:AT_ONCE]


def _ends(after: int | None = None) -> tuple[dg.RunStatusChangeRecordsFilter, dg.RunStatusChangeRecordsFilter]:
    return (
        dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_SUCCESS, after_storage_id=after),
        dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_storage_id=after),
    )


def findings_of(instance: dg.DagsterInstance, record: dg.EventLogRecord, base: str) -> Iterator[Finding]:
    """The findings from a run's end; its failure is not one if Dagster will retry the run."""
    run = instance.get_run_by_id(record.run_id)
    if run is None:  # deleted since
        return
    ended = EndedRun(run, record, base)
    entries = instance.all_logs(run.run_id, of_type=REPORTED)
    yield from ended.steps([entry.dagster_event for entry in entries if entry.dagster_event])
    yield from ended.checks([check for entry in entries if (check := entry.asset_check_evaluation)])


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that ended; `base` is the UI's URL."""

    run: dg.DagsterRun
    record: dg.EventLogRecord
    base: str

    def steps(self, events: list[dg.DagsterEvent]) -> Iterator[Finding]:
        """The outcomes of its steps, and of the run: a run may fail without a step."""
        failures = [event for event in events if event.event_type is dg.DagsterEventType.STEP_FAILURE]
        for event in events:
            if event.event_type is dg.DagsterEventType.STEP_SUCCESS:
                yield self._finding(str(event.step_key), frozenset(), "")
        if self.record.event_log_entry.dagster_event_type is dg.DagsterEventType.RUN_SUCCESS:
            yield self._finding(self.run.job_name, frozenset(), "")
        # guard: a run that is tried again is not reported
        elif self.run.tags.get(WILL_RETRY) == "true":
            return
        elif failures:
            for event in failures:
                errors = self._window_errors(event)
                first = "".join(f" {window}: {error}" for window, error in sorted(errors.items())[:1])
                failing = frozenset(errors) or self._asked
                yield self._finding(str(event.step_key), failing, step_error(event) + first)
        else:
            ended = self.record.event_log_entry.dagster_event
            yield self._finding(self.run.job_name, self._asked, (ended and ended.message) or "no reason given")

    def checks(self, evaluations: list[dg.AssetCheckEvaluation]) -> Iterator[Finding]:
        """The outcomes of its checks, one finding per check with all its windows."""
        for key in dict.fromkeys(evaluation.asset_check_key for evaluation in evaluations):
            mine = [evaluation for evaluation in evaluations if evaluation.asset_check_key == key]
            failed = [evaluation for evaluation in mine if not evaluation.passed]
            passed = {evaluation.partition or "" for evaluation in mine if evaluation.passed}
            path = "/".join(quote(name) for name in key.asset_key.path)
            story = self._story(
                _check_error(failed[0]) if failed else "",
                _remedy(failed[0]) if failed else "",
                f"{self.base}/assets/{path}?view=checks&checkDetail={quote(key.name)}",
            )
            subject = f"{key.asset_key.to_user_string()}: {key.name}"
            ill = frozenset(evaluation.partition or "" for evaluation in failed)
            yield Finding(Kind.CHECK, subject, ill, passed.__contains__, story)

    @property
    def _range(self) -> tuple[str, str]:
        """The first and last window that the run was asked for; empty texts without windows."""
        tags = self.run.tags
        one = tags.get(PARTITION, "")
        return tags.get(RANGE_START, one), tags.get(RANGE_END, one)

    @property
    def _asked(self) -> frozenset[str]:
        return frozenset(self._range)

    def _contains(self, window: str) -> bool:
        first, last = self._range
        return first <= window <= last  # keys sort as their windows do

    def _window_errors(self, event: dg.DagsterEvent) -> dict[str, str]:
        """The windows that a failure names, with their errors; empty if the step failed as a whole."""
        details = event.step_failure_data.user_failure_data
        named = details.metadata if details else {}
        return {name: str(value.value) for name, value in named.items() if self._contains(name)}

    def _finding(self, subject: str, failing: frozenset[str], error: str) -> Finding:
        story = self._story(error, RUN_REMEDY, f"{self.base}/runs/{self.run.run_id}")
        return Finding(Kind.RUN, subject, failing, self._contains, story)

    def _story(self, error: str, remedy: str, link: str) -> Story:
        at = instant(self.record.timestamp)
        return Story(error, remedy, link, at, job=self.run.job_name, run_id=self.run.run_id)


def instant(timestamp: float) -> str:
    """A timestamp in ISO 8601."""
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%dT%H:%M:%SZ}"


def step_error(event: dg.DagsterEvent) -> str:
    """A failed step's error on one line: the innermost one, not Dagster's wrapper around it."""
    details, error = event.step_failure_data.user_failure_data, event.step_failure_data.error
    if details and details.description:
        return " ".join(details.description.split())
    while error and error.cause:
        error = error.cause
    return " ".join(error.message.split()) if error else "no reason given"


def _check_error(evaluation: dg.AssetCheckEvaluation) -> str:
    figures = [
        f"{name} {value.value}"
        for name, value in evaluation.metadata.items()
        if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
    ]
    does_not_hold = f"does not hold: {evaluation.description}" if evaluation.description else "does not hold."
    why = evaluation.metadata.get("why")
    return f"{why.value if why else does_not_hold} {', '.join(figures)}".strip()


def _remedy(evaluation: dg.AssetCheckEvaluation) -> str:
    remedy = evaluation.metadata.get("remedy")
    return str(remedy.value) if remedy else CHECK_REMEDY
