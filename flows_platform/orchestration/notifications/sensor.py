"""The sensor that finds problems and reports every one once: to the notification URL, or to its own log."""

import time
from dataclasses import replace

import dagster as dg

from flows_platform.domain.errors import SourceUnavailable
from flows_platform.orchestration.notifications.freshness import no_longer_watched, stale_groups, watched
from flows_platform.orchestration.notifications.message import Message, message_of, post
from flows_platform.orchestration.notifications.problems import Memory, applied
from flows_platform.orchestration.notifications.runs import ended_after, findings_of, newest_end
from flows_platform.orchestration.notifications.sources import faulty_sources
from flows_platform.settings import load_settings

EVERY = 30  # seconds, as Dagster's freshness daemon
KEPT = 100  # messages kept for a URL that does not answer; then the oldest are dropped


def notifications_sensor() -> dg.SensorDefinition:
    """Reports failed runs, failed checks, stale tables and faulty sources: when they begin and when they are over."""

    @dg.sensor(
        name="notifications",
        minimum_interval_seconds=EVERY,
        description="Posts failed runs, failed checks, stale tables and faulty sources to FLOWS_NOTIFICATION_URL, once "
        "when a problem begins and once when it is healed. Without a URL, it logs them.",
        default_status=dg.DefaultSensorStatus.RUNNING,  # nobody would switch it on before it is needed
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        memory, messages = looked(context.instance, Memory.parse(context.cursor), context.repository_def)
        unsent = Sender(context).send([*memory.unsent, *messages])
        problems = ", ".join(memory.problems) or "none"
        return dg.SensorResult(
            skip_reason=f"open problems: {problems}.", cursor=replace(memory, unsent=unsent).render()
        )

    return look


def looked(
    instance: dg.DagsterInstance, memory: Memory, repository: dg.RepositoryDefinition | None
) -> tuple[Memory, list[Message]]:
    """The state now, and messages about what changed. The first tick starts at the present."""
    base = load_settings().dagster_base
    # guard: the first look starts at the present
    after = newest_end(instance) if memory.after is None else memory.after
    ends = ended_after(instance, after)
    findings = [finding for end in ends for finding in findings_of(instance, end, base)]
    if repository:
        groups = watched(repository)
        # guard: a group that is not watched is well
        findings += [*stale_groups(instance, groups, base), *no_longer_watched(memory.problems.values(), groups)]
        findings += faulty_sources(repository, memory.problems.values(), base, time.time())
    problems, changes = applied(memory.problems, findings)
    seen = ends[-1].storage_id if ends else after
    return Memory(seen, problems, memory.unsent), [message_of(change) for change in changes]


class Sender:
    """Sends messages to the notification URL, or logs them without one."""

    def __init__(self, context: dg.SensorEvaluationContext) -> None:
        self._log = context.log
        self._url = load_settings().notification_url

    def send(self, messages: list[Message]) -> tuple[Message, ...]:
        """Send the messages in order; return those that could not be sent, for the next tick."""
        for index, message in enumerate(messages):
            try:
                self._send(message)
            except SourceUnavailable as error:
                self._log.error("%s messages wait: %s", len(messages) - index, error)
                # guard: messages wait for an answer
                return tuple(messages[index:][-KEPT:])
        return ()

    def _send(self, message: Message) -> None:
        if self._url is not None:
            post(self._url.get_secret_value(), message)
        elif message["event"] == "healed":
            self._log.info(message["text"])
        else:
            self._log.error(message["text"])
