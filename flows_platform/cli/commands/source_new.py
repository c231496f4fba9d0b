"""`flows source new`: a draft of a source from one answer of its API."""

import re
from pathlib import Path

from flows_platform.cli.commands.terminal import say
from flows_platform.components.catalog import read_catalog, table_at
from flows_platform.components.rules import require_url
from flows_platform.components.sample.answers import read_sample
from flows_platform.components.sample.auth import chosen_kind, draft_auth
from flows_platform.components.sample.draft import Draft
from flows_platform.components.source import LONGEST_TABLE
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import Settings, load_settings

_NAME = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{LONGEST_TABLE - 1}}}")

SHOWN = 80  # characters of a name


def run_new(
    name: str,
    sample: Path,
    url: str | None,
    out: Path | None,
    *,
    auth: str | None = None,
    token_url: str | None = None,
    scope: str | None = None,
) -> None:
    """Write the draft of the source `name` to `out`, or into the project's folder, and say what comes next.

    Raises:
        ConfigurationError: the name is taken or not allowed, or the sample cannot be used; nothing is written.
    """
    settings = load_settings()
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name[:SHOWN]!r} is not a table's name.",
            remedy=f"Use letters, digits and underscores, at most {LONGEST_TABLE}, and a letter or _ first.",
        )
    for option, address in (("--url", url), ("--token-url", token_url)):
        _require_url(option, address)
    kind = chosen_kind(auth, token_url, scope)
    path = out or source_folder(settings) / f"{name}.yaml"
    if path.exists():
        raise ConfigurationError(f"{path} exists.", remedy="Choose another name, or another file with --out.")
    if any(table.table.name == name for table in read_catalog(settings).tables):
        raise ConfigurationError(f"there is a table {name!r} already.", remedy="Choose another name.")
    given = draft_auth(kind, name, token_url, scope) if kind else None
    draft = Draft(name, read_sample(sample), url, given)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(draft.text(), "utf-8")
    table_at(path, settings)
    say(f"{path}: {draft.guesses} guesses to check.")
    for variable in draft.variables:
        say(f"Set {variable}.")
    say(f"Next: flows source check {path}")
    say(f"      flows source try {path} --window {draft.window}")


def _require_url(option: str, address: str | None) -> None:
    try:
        if address:
            require_url(address)
    except ConfigurationError as error:
        raise ConfigurationError(f"{option}: {error.message}", remedy=error.remedy) from None


def source_folder(settings: Settings) -> Path:
    """Where new files go: the first folder of the project's sources, or the working directory."""
    return next((Path(entry) for entry in settings.source_entries if Path(entry).is_dir()), Path())
