"""`flows fetch`: one window of a server that speaks this protocol."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

from flows_platform.cli.commands.terminal import progress_bar, say
from flows_platform.declared import Secret
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.verification import Verification
from flows_platform.domain.windows import Window
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.auth import Bearer
from flows_platform.fetch.http.client import HttpClient, HttpLimits
from flows_platform.fetch.http.proxies import Proxies
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.pipeline.fetch_window import fetch_window
from flows_platform.settings import AUTO, Settings, load_settings
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.window_files.quarantine import quarantine_path


def fetch_file(url: str, after: int | None, before: int, out: Path, *, wire: str, max_rejected: int) -> None:
    """Fetch `after < time <= before` into `out`, and print the result.

    Raises:
        ConfigurationError: the bounds are in the wrong order, or the format is unknown.
        PlatformError: the fetch failed; there is no new file at `out`.
    """
    window = _window(after, before)
    settings = load_settings()
    api = _api(url, _format(wire), settings)
    with (
        closing(_client(settings)) as client,
        progress_bar("Fetching", "records") as progress,
    ):
        fetched = fetch_window(
            client,
            api,
            window,
            out,
            max_rejected=max_rejected,
            tries=settings.retry_attempts,
            progress=progress,
        )
    file, answers = fetched.file, fetched.answers
    quarantine = f" to {quarantine_path(out)}" if file.rejected else ""
    say(
        f"{out}: {file.rows:,} rows, {file.rejected:,} rejected{quarantine}, {answers.received_bytes:,} bytes of "
        f"{answers.format or ''} in {fetched.seconds:.1f} s, verified to {answers.level.label}"
    )


def _api(url: str, wire: WireFormat | None, settings: Settings) -> WindowedApi:
    token, value = Secret(env="FLOWS_API_TOKEN", required=False), settings.api_token
    return WindowedApi(
        url=url,
        schema=FLOWS,
        format=wire,
        auth=Bearer(token=token),
        secrets={token.env: value.get_secret_value() if value else ""},
        verification=Verification.of(settings.verification),
        parser=settings.api_parser,
    )


def _client(settings: Settings) -> HttpClient:
    # Dagster's resource builds the same; to import Dagster takes half a CPU-second.
    limits = HttpLimits(
        settings.connect_timeout, settings.read_timeout, total=settings.fetch_deadline, rate=settings.minimum_rate
    )
    return HttpClient(limits, proxies=Proxies.of_environment([f"{settings.api_host}:{settings.api_port}"]))


def _window(after: int | None, before: int) -> Window:
    """The seconds `after < t <= before` of the data set; without `after`, from the first one on."""
    if after is not None and after >= before:
        raise ConfigurationError(f"the range is empty: --after {after} must be below --before {before}.")
    first = 0 if after is None else after + 1
    try:
        return Window(FLOWS.epoch + timedelta(seconds=first), FLOWS.epoch + timedelta(seconds=before + 1))
    except (OverflowError, ValueError):
        raise ConfigurationError(
            f"--after {after} and --before {before} are not seconds of a data set.", remedy="Count them from 0."
        ) from None


def _format(wire: str) -> WireFormat | None:
    if wire == AUTO:
        return None
    if wire not in set(WireFormat):
        raise ConfigurationError(
            f"--format {wire!r} is not known.", remedy=f"One of {', '.join(WireFormat)} or {AUTO}."
        )
    return WireFormat(wire)
