"""`flows report list`, `show` and `get`: the reports of a server."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows_platform.cli.commands.terminal import progress_bar, say
from flows_platform.client import Reports
from flows_platform.client.reports import Unchanged
from flows_platform.declared import did_you_mean
from flows_platform.domain.errors import ConfigurationError
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.runtime.atomic_files import atomic_path, reading, sha256_file
from flows_platform.settings import load_settings

STANDARD_INPUT = "-"
SECRETS = "*-token-secret.txt"


def run_list(url: str | None, token: str | None, token_file: str | None) -> None:
    """Print a line per report: its name, the end of its newest data, and what it shows; and why others are left out.

    Raises:
        PlatformError: as `Reports.list`.
    """
    with _reports(url, token, token_file) as reports:
        listed, faults = reports.listing()
    _say_table([(one["name"], one["data_as_of"] or "no data yet", one["description"]) for one in listed])
    for fault in faults:
        print(f"not served: {fault}", file=sys.stderr)  # noqa: T201 - beside the reports, which programs read


def run_show(name: str, url: str | None, token: str | None, token_file: str | None) -> None:
    """Print what a report is: its parameters and its columns.

    Raises:
        ConfigurationError: there is no such report, or as `Reports.list`.
    """
    with _reports(url, token, token_file) as reports:
        listed = {one["name"]: one for one in reports.list()}
    if name not in listed:
        near = did_you_mean(name, listed) or "."
        raise ConfigurationError(f"there is no report {name!r}{near}", remedy="`flows report list` shows all.")
    report = listed[name]
    say(f"{report['name']}: {report['description']}")
    say(f"newest data: {report['data_as_of'] or 'none yet'}")
    for parameter, value in report.get("fixed", {}).items():
        say(f"the token fixes {parameter} to {value}")
    say("\nparameters:")
    _say_table([_parameter(one) for one in report["parameters"]])
    say("\ncolumns:")
    _say_table([(one["name"], one["type"], one["description"]) for one in report["columns"]])


def _parameter(declared: Mapping[str, Any]) -> tuple[str, str, str]:
    default = declared["default"]
    shown = "needed" if declared["required"] else ",".join(default) if isinstance(default, list) else str(default)
    description = f"; {declared['description']}" if declared["description"] else ""
    return f"--{declared['name']}", shown, f"{declared['allowed']}{description}"


def run_get(
    name: str,
    words: Sequence[str],
    out: Path | None,
    wire: str | None,
    *,
    etag_file: Path | None = None,
    url: str | None,
    token: str | None,
    token_file: str | None,
) -> None:
    """Write a report's rows to `out` or standard output. `words` are the parameters, as options.

    With `etag_file`, which then names the answer in `out`, an answer that is unchanged is not sent, and `out` stays.

    Raises:
        ConfigurationError: an option is not one, the format is unknown, or the server refuses what is asked.
        PlatformError: as `Reports.download`; there is no new file at `out`.
    """
    parameters, wire_format = _parameters(name, words), _format(wire, out)
    if etag_file and out is None:
        raise ConfigurationError("--etag-file needs --out.", remedy="Name the file that it is about.")
    with _reports(url, token, token_file) as reports:
        if out is None:
            reports.download(name, wire_format, sys.stdout.buffer, parameters)
            sys.stdout.buffer.flush()
            return
        known = _etag_of(out, etag_file) if etag_file else ""
        try:
            with atomic_path(out) as temporary, temporary.open("wb") as file:
                got = reports.download(name, wire_format, file, parameters, known=known)
        except Unchanged:
            say(f"{out}: unchanged")
            return
    if etag_file:
        _keep_etag(etag_file, out, got.etag)
    counted = "" if got.rows is None else f"{got.rows:,} rows, "
    say(f"{out}: {counted}{out.stat().st_size:,} bytes")


def _etag_of(out: Path, etag_file: Path) -> str:
    """The ETag of the answer that `out` holds; empty where the file is another, or nothing says what it is."""
    if not (out.is_file() and etag_file.is_file()):
        return ""
    with reading(etag_file):
        etag, _, digest = etag_file.read_text("utf-8", errors="replace").strip().partition(" ")
    # guard: an unchanged answer is the one in the file
    return etag if digest == sha256_file(out) else ""


def _keep_etag(etag_file: Path, out: Path, etag: str) -> None:
    with atomic_path(etag_file) as temporary:
        temporary.write_text(f"{etag} {sha256_file(out)}\n" if etag else "", "utf-8")


def _parameters(name: str, words: Sequence[str]) -> dict[str, str | tuple[str, ...]]:
    """`--name value`, `--name=value`; an option that comes again makes a list."""
    if name.startswith("-"):
        raise ConfigurationError(f"{name} comes before the name of the report.", remedy="Write the name first.")
    found: dict[str, tuple[str, ...]] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        if not option.startswith("--") or len(option) == len("--"):
            raise ConfigurationError(f"{word!r} is not an option.", remedy="Write --PARAMETER VALUE.")
        if not equals and not rest:
            raise ConfigurationError(f"{option} has no value.", remedy=f"Write {option} VALUE.")
        key = option.removeprefix("--").replace("-", "_")
        found[key] = (*found.get(key, ()), value if equals else rest.pop(0))
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _format(wire: str | None, out: Path | None) -> WireFormat:
    ending = out.suffix.removeprefix(".") if out else ""
    named = wire or (ending if ending in set(WireFormat) else WireFormat.CSV)
    if named not in set(WireFormat):
        near = did_you_mean(named, WireFormat) or "."
        raise ConfigurationError(f"--format {named!r} is not known{near}", remedy=f"One of {', '.join(WireFormat)}.")
    if out is None and named == WireFormat.ARROW and sys.stdout.isatty():
        raise ConfigurationError("arrow is not for a terminal.", remedy="Add --out FILE, or choose --format csv.")
    return WireFormat(named)


@contextmanager
def _reports(url: str | None, token: str | None, token_file: str | None) -> Iterator[Reports]:
    """The client, with a bar that shows the bytes of an answer."""
    settings = load_settings()
    ours = settings.api_token.get_secret_value() if settings.api_token else ""
    secret = _first_token(token, token_file, ours)
    with (
        progress_bar("Fetching", "bytes") as progress,
        Reports(url or settings.api_base, secret, progress=progress, sleep=_wait) as reports,
    ):
        yield reports


def _wait(seconds: float) -> None:
    """Say that the server is busy, and wait for as long as it says."""
    print(f"the server is busy; it is asked again in {seconds:g} s", file=sys.stderr)  # noqa: T201 - shown while waiting
    time.sleep(seconds)


def _first_token(token: str | None, token_file: str | None, ours: str) -> str | None:
    """The token that is given, without the end of its line; None if there is none.

    Raises:
        ConfigurationError: two options give one, a file holds none, or several files of the folder could.
        InputError: a file cannot be read.
    """
    if token is not None and token_file is not None:
        raise ConfigurationError("--token and --token-file give two tokens.", remedy="Leave one out.")
    if token is not None:
        return token.strip()
    if token_file == STANDARD_INPUT:
        return _whole(sys.stdin.readline(), "standard input")
    found = [Path(token_file)] if token_file else [] if ours else sorted(Path().glob(SECRETS))
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise ConfigurationError(f"{names} may all hold the token.", remedy="Name one with --token-file.")
    if not found:
        return ours or None
    with reading(found[0]):
        return _whole(found[0].read_text("utf-8", errors="replace"), str(found[0]))


def _whole(text: str, source: str) -> str:
    found = text.strip()
    if len(found.split()) != 1:
        raise ConfigurationError(f"{source} does not hold a token alone.", remedy="Write the token and nothing else.")
    return found


def _say_table(rows: Sequence[Sequence[str]]) -> None:
    """Print columns side by side."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
