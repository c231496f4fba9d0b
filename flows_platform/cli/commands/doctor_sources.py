"""The doctor's lines for each source of a project: its secrets, its host, and one request."""

import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from flows_platform.components.catalog import Catalog
from flows_platform.components.source_files import shipped_name
from flows_platform.domain.errors import ConfigurationError, SourceUnavailable
from flows_platform.fetch.auth import OAuth2
from flows_platform.fetch.http.proxies import Proxies
from flows_platform.fetch.http.redirects import PORTS
from flows_platform.fetch.trace import Trace
from flows_platform.orchestration.resources import build_resources
from flows_platform.orchestration.table import WindowedTable
from flows_platform.pipeline.fetch_window import fetch_window
from flows_platform.settings import Settings

ANY_NUMBER = 10**9  # of rejects: whether records fit is not what is asked here

type Check = Callable[[Settings], str]


def source_checks(settings: Settings, catalog: Catalog, *, requests: bool) -> dict[str, Check]:
    """The lines of the sources that the project names; with `requests` each source is asked once.

    A project that names no sources has no such lines: the shipped sources load by default, and nobody may need them.
    The flows have lines of their own.
    """
    checks: dict[str, Check] = {}
    for table in catalog.tables if settings.source_entries else ():
        if shipped_name(table.declared_in) != "lanl_flows":
            name = table.table.name
            checks[f"{name} secrets"] = partial(_secrets, table)
            checks[f"{name} host"] = partial(_host, table)
            if requests:
                checks[f"{name} request"] = partial(_request, table)
    return checks


def _secrets(table: WindowedTable, _: Settings) -> str:
    """Whether the secrets are set, and the files of `tls` can be used."""
    with_files = table.api().tls_context() is not None
    return f"every variable that the file requires is set{', and the files of `tls` can be used' * with_files}"


def _host(table: WindowedTable, settings: Settings) -> str:
    """Whether something listens where the API and its tokens should be, or where the proxy to them should be."""
    urls = {"`api.url`": table.endpoint} | _token_url(table)
    reached = dict.fromkeys(_reached_for(url, key, settings) for key, url in urls.items())
    return f"{' and '.join(reached)} can be reached"


def _token_url(table: WindowedTable) -> dict[str, str]:
    """The URL of tokens; none without OAuth2, or where a secret is missing, which its own line says."""
    with suppress(ConfigurationError):
        if isinstance(auth := table.api().auth, OAuth2):
            return {"`api.auth.token_url`": auth.token_url}
    return {}


def _reached_for(url: str, key: str, settings: Settings) -> str:
    """What listens for requests to the URL that the file has under `key`, in words."""
    proxy = Proxies.of_environment().proxy_for(url)
    address = _reached(
        proxy.url if proxy else url,
        settings.connect_timeout,
        remedy=f"Check {proxy.variable if proxy else key}, and whether this machine may connect to it.",
    )
    return f"the proxy {address}, named by {proxy.variable}," if proxy else address


def _reached(url: str, timeout: float, *, remedy: str) -> str:
    """Host and port of the URL, where something listens."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    try:
        socket.create_connection((host, port), timeout=timeout).close()
    except OSError as error:
        message = f"{host}:{port} cannot be reached ({error.strerror or error})."
        raise SourceUnavailable(message, remedy=remedy) from None
    return f"{host}:{port}"


def _request(table: WindowedTable, settings: Settings) -> str:
    """One request for the last closed window; its first record is read, and nothing is kept."""
    window = table.calendar.last_closed(datetime.now(UTC))
    if window is None:
        return "no window has closed yet"
    trace, fetch, api = Trace(), build_resources(settings).fetch, table.api()
    if api.job:
        return "none: an export may take hours; `flows source try` runs one"
    with tempfile.TemporaryDirectory(prefix="flows-doctor-") as folder, fetch.client(api, table.gate) as client:
        fetched = fetch_window(
            client,
            api,
            window,
            Path(folder) / "window.parquet",
            max_rejected=ANY_NUMBER,
            tries=1,
            trace=trace,
            limit=1,
        )
    found = "a record was read" if fetched.file.received else "it has no records"
    return f"window {window.key} was answered with {trace.requests[-1].status}, {found}"
