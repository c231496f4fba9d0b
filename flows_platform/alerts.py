"""Failed runs told to a webhook, in the form Slack takes; logged where none is set."""

import json

import dagster as dg
import urllib3

from flows_platform.domain.errors import SourceUnavailable
from flows_platform.settings import load_settings

TIMEOUT = urllib3.Timeout(connect=5.0, read=10.0)


def failure_sensor() -> dg.SensorDefinition:
    """Posts each failed run: what failed, why, where to look."""

    @dg.run_failure_sensor(
        name="run_failures",
        description="Posts each failed run to FLOWS_WEBHOOK_URL (text, job, run_id, error, link); logs it without one.",
        monitor_all_code_locations=True,
        default_status=dg.DefaultSensorStatus.RUNNING,  # nobody switches an alarm on before it is needed
    )
    def tell(context: dg.RunFailureSensorContext) -> None:
        message = failure_message(context)
        webhook = load_settings().webhook_url
        if webhook is None:
            context.log.error(message["text"])
        else:
            post(webhook.get_secret_value(), message)

    return tell


def failure_message(context: dg.RunFailureSensorContext) -> dict[str, str]:
    """The payload for one failed run; `error` holds the failed step's own words where there are some."""
    run = context.dagster_run
    errors = [step_error(event) for event in context.get_step_failure_events()]
    reason = next(iter(errors), context.failure_event.message or "no reason given")
    link = f"http://127.0.0.1:{load_settings().dagster_port}/runs/{run.run_id}"
    return {
        "text": f"{run.job_name} failed (run {run.run_id[:8]}): {reason} {link}",
        "job": run.job_name,
        "run_id": run.run_id,
        "error": reason,
        "link": link,
    }


def step_error(event: dg.DagsterEvent) -> str:
    """A failed step's own words on one line: the innermost error, not Dagster's frame around it."""
    error = event.step_failure_data.error
    while error and error.cause:
        error = error.cause
    return " ".join(error.message.split()) if error else "no reason given"


def post(url: str, message: dict[str, str]) -> None:
    """Send `message` as JSON.

    Raises:
        SourceUnavailable: the webhook did not take it; its URL, a secret, is not in the message.
    """
    try:
        with urllib3.PoolManager(timeout=TIMEOUT, retries=urllib3.Retry(2, redirect=0)) as pool:
            body = json.dumps(message).encode()
            answer = pool.request("POST", url, body=body, headers={"Content-Type": "application/json"})
    except urllib3.exceptions.HTTPError as error:
        raise SourceUnavailable(f"the webhook gives no answer ({type(error).__name__}).") from None
    if not 200 <= answer.status < 300:  # noqa: PLR2004 - success
        raise SourceUnavailable(f"the webhook answered {answer.status}.", remedy="Check FLOWS_WEBHOOK_URL.")
