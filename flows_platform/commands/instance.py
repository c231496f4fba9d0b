"""The Dagster instance of the home folder, and jobs run on it in this process with their progress shown."""

import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from importlib.resources import as_file, files

import dagster as dg

from flows_platform.alerts import step_error
from flows_platform.commands.terminal import console, progress_bar
from flows_platform.settings import Settings

POLL = 0.2  # seconds between two looks at the run
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance in the home folder, made with the platform's defaults where there is none."""
    home = settings.files.dagster
    home.mkdir(parents=True, exist_ok=True)
    target = home / "dagster.yaml"
    if not target.exists():
        with as_file(files("flows_platform.commands") / "dagster.yaml") as defaults:
            shutil.copyfile(defaults, target)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def run_job(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    *,
    title: str,
    materializations: int,
    tags: dict[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run a job here, with a bar over the `materializations` that it will record; failures are in the result."""
    run_id = str(uuid.uuid4())

    def execute() -> dg.ExecuteInProcessResult:
        return definitions.resolve_job_def(job).execute_in_process(
            instance=instance, run_id=run_id, tags=tags, raise_on_error=False, run_config=QUIET
        )

    with ThreadPoolExecutor(max_workers=1) as pool, progress_bar(title, "assets") as progress:
        running = pool.submit(execute)
        while wait([running], timeout=POLL).not_done:
            recorded = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
            progress(len(recorded), materializations)
        return running.result()


def told_success(result: dg.ExecuteInProcessResult) -> bool:
    """Whether the run succeeded; if not, its failed steps' own words go to the terminal."""
    for event in result.get_step_failure_events() if not result.success else ():
        console.print(f"{event.step_key} failed: {step_error(event)}", markup=False, soft_wrap=True)
    return result.success
