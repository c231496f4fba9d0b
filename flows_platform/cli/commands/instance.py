"""The Dagster instance of the home folder, and jobs that run on it in this process with a progress bar."""

import shutil
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import as_file, files

import dagster as dg

from flows_platform.access.private import make_home
from flows_platform.cli.commands.console import console
from flows_platform.cli.commands.meanwhile import meanwhile
from flows_platform.cli.commands.terminal import progress_bar
from flows_platform.domain.progress import silent
from flows_platform.orchestration.notifications.runs import step_error
from flows_platform.settings import Settings

POLL = 0.2  # seconds between two looks at the run
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance in the home folder, created with the platform's defaults if there is none."""
    home = settings.files.dagster
    make_home(settings.files.home)
    home.mkdir(exist_ok=True)
    target = home / "dagster.yaml"
    if not target.exists():
        with as_file(files("flows_platform.cli.commands") / "dagster.yaml") as defaults:
            shutil.copyfile(defaults, target)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def fail_abandoned_runs(instance: dg.DagsterInstance) -> int:
    """Mark runs as failed whose processes ended with the code server that started them; returns their number.

    After a power cut they would stay started for ever, and a backfill would wait for them. Call it only while no code
    server runs on the instance. The daemon then runs them once more.
    """
    unfinished = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    runs = instance.get_runs(dg.RunsFilter(statuses=unfinished))
    for run in runs:
        instance.report_run_failed(run, "The process of this run ended with the code server that had started it.")
    return len(runs)


def run_job(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    *,
    title: str,
    materializations: int,
    tags: dict[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run a job here, with a bar over the `materializations` that it will record; failures are in the result.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM came meanwhile.
    """
    run_id = str(uuid.uuid4())
    recorded = Materializations(instance, run_id)
    with progress_bar(title, "assets") as progress, ExitStack() as stack:
        if progress is not silent:
            stack.enter_context(meanwhile(lambda: progress(recorded.count(), materializations), POLL, "progress"))
        stack.enter_context(_sigterm_kept())
        result = definitions.resolve_job_def(job).execute_in_process(
            instance=instance, run_id=run_id, tags=tags, raise_on_error=False, run_config=QUIET
        )
    if _interrupted(result):
        raise KeyboardInterrupt
    return result


class Materializations:
    """Counts a run's materializations. Reads every event once: reading all every time took half a backfill's CPU."""

    def __init__(self, instance: dg.DagsterInstance, run_id: str) -> None:
        self._instance = instance
        self._run_id = run_id
        self._cursor: str | None = None
        self._count = 0

    def count(self) -> int:
        """The number so far."""
        kind = dg.DagsterEventType.ASSET_MATERIALIZATION
        new = self._instance.get_records_for_run(self._run_id, self._cursor, of_type=kind)
        self._cursor = new.cursor
        self._count += len(new.records)
        return self._count


def _interrupted(result: dg.ExecuteInProcessResult) -> bool:
    errors = [event.step_failure_data.error for event in result.get_step_failure_events()]
    return any(error and error.cls_name == dg.DagsterExecutionInterruptedError.__name__ for error in errors)


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Restore the handler of SIGTERM: Dagster replaces it in the main thread while it executes, and leaves it so."""
    previous = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, previous)


def report_success(result: dg.ExecuteInProcessResult) -> bool:
    """Whether the run succeeded; if not, the errors of its failed steps go to the terminal."""
    for event in result.get_step_failure_events() if not result.success else ():
        console.print(f"{event.step_key} failed: {step_error(event)}", markup=False, soft_wrap=True)
    return result.success
