"""What Dagster knows of a webhook's archive: checks of details and of repeats, the vendor's list, and a job."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import dagster as dg

from flows_platform.components.webhook_declaration import WebhookTableDeclaration
from flows_platform.components.webhook_journal import journal_of
from flows_platform.orchestration.automation.requests import utc_now
from flows_platform.orchestration.resources import FetchResource
from flows_platform.settings import Settings
from flows_platform.webhooks.detail_queue import DetailCounts, DetailQueue
from flows_platform.webhooks.reconcile import Reconciled

LATE = 3600.0  # seconds; a detail that is pending for longer is reported
DAILY, HOURLY = "30 4 * * *", "15 * * * *"


def archive_definitions(
    webhook: WebhookTableDeclaration, settings: Settings, folder: Path, now: Callable[[], datetime] = utc_now
) -> dg.Definitions:
    """Checks on the table of a webhook, with their jobs and schedules; `now` is the wall clock."""
    hourly = [repeats_check(webhook, settings)]
    jobs: list[dg.JobDefinition] = []
    if webhook.detail:
        hourly.append(details_check(webhook, settings, now))
        jobs.append(replay_job(webhook, settings, now))
    daily = [vendor_check(webhook, settings, folder, now)] if webhook.reconcile else []
    kinds = [(f"{webhook.name}_archive_job", hourly, HOURLY), (f"{webhook.name}_reconcile_job", daily, DAILY)]
    return dg.Definitions(
        asset_checks=[*hourly, *daily],
        jobs=jobs,
        schedules=[_schedule(name, checks, cron) for name, checks, cron in kinds if checks],
    )


def _schedule(name: str, checks: list[dg.AssetChecksDefinition], cron: str) -> dg.ScheduleDefinition:
    job = dg.define_asset_job(name, selection=dg.AssetSelection.checks(*checks))
    return dg.ScheduleDefinition(
        name=f"{name}_schedule", job=job, cron_schedule=cron, default_status=dg.DefaultScheduleStatus.RUNNING
    )


def details_check(
    webhook: WebhookTableDeclaration, settings: Settings, now: Callable[[], datetime] = utc_now
) -> dg.AssetChecksDefinition:
    """The check that details are fetched: a warning where one is late, an error where some are given up."""

    @dg.asset_check(
        asset=dg.AssetKey(webhook.name),
        name="details_present",
        description="Details are fetched within an hour of their records, and no detail is given up.",
    )
    def check() -> dg.AssetCheckResult:
        with journal_of(webhook, settings) as journal:
            counts = DetailQueue(journal, webhook.name).counts()
        waited = now().timestamp() - counts.oldest if counts.oldest is not None else 0.0
        failed = bool(counts.dead or counts.stopped)
        return dg.AssetCheckResult(
            passed=not failed and waited <= LATE,
            severity=dg.AssetCheckSeverity.ERROR if failed else dg.AssetCheckSeverity.WARN,
            metadata={
                "pending": counts.pending,
                "oldest_pending_seconds": waited,
                "given_up": counts.dead,
                **({"stopped": counts.stopped} if counts.stopped else {}),
                **({} if not failed else {"remedy": _remedy(webhook.name, counts)}),
            },
        )

    return check


def _remedy(name: str, counts: DetailCounts) -> str:
    if counts.stopped:
        return "Correct the secrets that `detail.auth` names, and restart the API server."
    return f"`flows alerts list --source {name} --dead` has the reasons; `flows alerts replay` fetches them again."


def repeats_check(webhook: WebhookTableDeclaration, settings: Settings) -> dg.AssetChecksDefinition:
    """The check that no id came with two different records."""

    @dg.asset_check(
        asset=dg.AssetKey(webhook.name),
        name="no_differing_repeats",
        description="No record came with an id that another record has. The first one is in the table; later ones are "
        "kept beside it in the archive.",
    )
    def check() -> dg.AssetCheckResult:
        with journal_of(webhook, settings) as journal:
            counts = journal.counts(webhook.name)
        return dg.AssetCheckResult(
            passed=not counts.differing,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"records": counts.records, "differing": counts.differing},
        )

    return check


def vendor_check(
    webhook: WebhookTableDeclaration, settings: Settings, folder: Path, now: Callable[[], datetime] = utc_now
) -> dg.AssetChecksDefinition:
    """The check that compares the archive with the vendor's list, and archives what is missing."""

    @dg.asset_check(
        asset=dg.AssetKey(webhook.name),
        name="matches_vendor",
        description="Every record that the vendor lists is in the archive. What was missing is archived by the check, "
        "which then warns.",
    )
    def check(fetch: FetchResource) -> dg.AssetCheckResult:
        # Imported here: it reads Parquet, which takes too long for loading the definitions.
        from flows_platform.components.webhook_reconcile import reconciled_days  # noqa: PLC0415

        days = reconciled_days(webhook, settings, folder, fetch, now())
        return _verdict(days)

    return check


def _verdict(days: dict[str, Reconciled]) -> dg.AssetCheckResult:
    whole = Reconciled()
    for found in days.values():
        whole = whole.plus(found)
    rows = [f"| {day} | {one.listed:,} | {one.missing:,} | {one.refused:,} |" for day, one in days.items()]
    table = "\n".join(["| Day | Listed | Missing | Refused |", "|---|---|---|---|", *rows])
    return dg.AssetCheckResult(
        passed=not whole.missing and not whole.refused,
        severity=dg.AssetCheckSeverity.ERROR if whole.refused else dg.AssetCheckSeverity.WARN,
        metadata={
            "listed": whole.listed,
            "missing": whole.missing,
            "refused": whole.refused,
            "days": dg.MetadataValue.md(table),
            "first_missing": ", ".join(whole.ids) or "none",
            "reasons": "; ".join(whole.reasons) or "none",
        },
    )


class Again(dg.Config):
    """Which details are due again: those of the ids, or all that were given up."""

    ids: list[str] = []  # noqa: RUF012 - pydantic copies it


def replay_job(
    webhook: WebhookTableDeclaration, settings: Settings, now: Callable[[], datetime] = utc_now
) -> dg.JobDefinition:
    """The job that makes details due again, as `flows alerts replay` does."""

    @dg.op(name=f"{webhook.name}_due_again")
    def due_again(context: dg.OpExecutionContext, config: Again) -> None:
        with journal_of(webhook, settings) as journal:
            count = DetailQueue(journal, webhook.name).replay(now().timestamp(), config.ids or None)
        context.log.info("%d details are due again; the API server fetches them", count)

    @dg.job(
        name=f"{webhook.name}_replay_job",
        description="Makes details due again: those of `ids`, or without ids all that were given up.",
    )
    def replay() -> None:
        due_again()

    return replay
