"""The draft of a source as YAML: every guess has a comment."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from flows_platform.columns.time_forms import TimeForm
from flows_platform.components.loader import TABLE
from flows_platform.components.sample.answer import SampleAnswer
from flows_platform.components.sample.auth import draft_auth, variables
from flows_platform.components.sample.columns import EXTRA, DraftColumn, draft_columns, unnamed_fields
from flows_platform.components.sample.paging import CURSORS, OFFSETS, PAGES, DraftPaging, draft_paging
from flows_platform.components.sample.request import DAILY, DraftRequest, draft_request
from flows_platform.components.sample.roles import CHANGED, differ, key_columns, time_column
from flows_platform.domain.schema import ColumnType

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_URL = re.compile(r"https?://[A-Za-z0-9_./:%~-]*[A-Za-z0-9_/]")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
REASONS = 5  # of rejects, which are shown
NO_RANGE = {"after": "start_time", "before": "end_time"}


class Draft:
    """A source as one answer suggests it."""

    def __init__(
        self, name: str, answer: SampleAnswer, url: str | None, auth: Mapping[str, object] | None = None
    ) -> None:
        """Makes all guesses; `auth` is the value of that key, empty if the API asks for no credentials.

        Raises:
            ConfigurationError: no field has a value in every record.
        """
        self._name = name
        self._answer = answer
        self._request: DraftRequest = draft_request(url, name, OFFSETS | PAGES, CURSORS)
        self._auth = self._request.auth if auth is None else auth
        self._said = auth is not None
        found = draft_columns(answer)
        asked_by = str(self._request.time.get("after", ""))
        self._time = time_column(found, asked_by, datetime.now(UTC).date())
        self._columns = [self._time if column.name == self._time.name else column for column in found]
        if self._time.origin:
            self._columns.insert(0, self._time)
        self._key = key_columns(self._columns, self._time)
        number = self._key[0].type is ColumnType.INT64
        self._paging: DraftPaging = draft_paging(answer, self._request, self._key[0].name, key_is_number=number)
        self._placeholder = url is None

    @property
    def window(self) -> str:
        """The key of the window of the sample's last record."""
        last = max(self._time.instants)
        return f"{last:%Y-%m-%d}-{'00' if self._request.cron == DAILY else f'{last:%H}'}:00"

    @property
    def variables(self) -> list[str]:
        """The variables that the source needs."""
        return [*variables(self._auth), *variables(self._request.parameters)]

    @property
    def guesses(self) -> int:
        """How many lines have a guess to be checked."""
        return sum("# guess" in line for line in self.lines())

    def text(self) -> str:
        """The file."""
        return "\n".join([*self.lines(), ""])

    def lines(self) -> Iterator[str]:
        """The file, line by line."""
        yield f"# Drafted from a sample of {len(self._answer.records):,} records. Check each guess against the API's"
        yield "# documentation: names of parameters, bounds and paging cannot be seen in an answer."
        for reason, count in Counter(self._answer.unreadable).most_common(REASONS):
            yield f"# A run would reject {count:,} of its records: {reason}."
        yield f"type: {TABLE.component}"
        yield "attributes:"
        yield f"  name: {scalar(self._name)}"
        yield "  api:"
        yield from (f"    {line}" for line in self._api())
        yield "  columns:"
        yield from (f"    - {line}" for line in self._column_lines())
        yield from (f"  {line}" for line in self._table())

    def _api(self) -> Iterator[str]:
        request, paging = self._request, self._paging
        yield _noted(
            f"url: {scalar(request.url)}", "guess: a placeholder; write the endpoint" if self._placeholder else ""
        )
        yield f"format: {self._answer.format}"
        for key, value in self._answer.keys.items():
            yield _noted(f"{key}: {flow(value)}", self._answer.notes.get(key, ""))
        size = {} if not request.size or "size" in (paging.paging or {}) else {request.size[0]: str(request.size[1])}
        if parameters := request.parameters | size:
            yield _noted(f"parameters: {flow(parameters)}", "as in the URL")
        yield from self._auth_lines()
        yield from self._range()
        if paging.paging:
            yield _noted(f"paging: {flow(paging.paging)}", f"guess: {paging.notes['paging']}")
        elif self._answer.format in {"json", "xml"}:
            yield "# paging: {kind: link_header} # guess: nothing around the records leads to a next page"
        if paging.total:
            yield _noted(f"total: {scalar(paging.total)}", f"guess: {paging.notes['total']}")
        if paging.ignored:
            yield _noted(f"ignore_envelope: {flow(paging.ignored)}", "guess: it does not mean more records")
        if self._answer.format in {"ndjson", "csv"}:
            yield "verification: unverified # the format has no end mark"
        elif paging.total:
            yield "verification: count # against the total"

    def _auth_lines(self) -> Iterator[str]:
        if self._said and not self._auth:
            return
        if self._auth:
            known = "the names of variables" if self._said else "the names of variables; the values were in the URL"
            yield _noted(f"auth: {flow(self._auth)}", known)
            return
        yield "# If the API asks for credentials, one of these, with the names of variables instead of the secrets:"
        for kind in ("bearer", "header", "basic", "oauth2"):
            guess = " # guess" if kind == "bearer" else ""
            yield f"# auth: {flow(draft_auth(kind, self._name))}{guess}"

    def _range(self) -> Iterator[str]:
        known = self._request.time
        if self._time.origin and not known:
            yield "snapshot: true # guess: the whole list comes each time; otherwise write `time`"
            return
        note = (self._request.guess or "as in the URL") if known else "guess: both names"
        exact = {} if "stop" in known else {"before_inclusive": False} if self._time.origin else {"exact": False}
        skipped = "; neighbours are skipped" if "exact" in exact else ""
        yield _noted(f"time: {flow({**(known or NO_RANGE), **exact})}", f"{note}{skipped}")

    def _column_lines(self) -> Iterator[str]:
        needed = {self._time.name, *(column.name for column in self._key)}
        for column in self._columns:
            yield _noted(flow(_column(column, required=column.name in needed)), column.note)
        others = ", ".join(repr(name) for name in unnamed_fields(self._answer))
        note = f"also fields whose names no path can hold: {others}" if others else ""
        yield _noted(flow({"name": EXTRA, "type": "json", "description": "Fields that no column takes."}), note)

    def _table(self) -> Iterator[str]:
        times = [column.name for column in self._columns if column.type is ColumnType.TIMESTAMP and column.always]
        others = ", ".join(name for name in times if name != self._time.name)
        why = "" if self._time.origin else "guess: the time that the range means" + (f"; or {others}" if others else "")
        yield _noted(f"time: {self._time.name}", why)
        names = [column.name for column in self._key]
        apart = "its value differs" if len(names) == 1 else "together they differ"
        why = (
            f"{apart} in every record of the sample" if differ(self._key) else "not every record of the sample differs"
        )
        yield _noted(f"key: {flow(names) if len(names) > 1 else names[0]}", f"guess: {why}")
        yield f"extra: {EXTRA}"
        yield _noted(
            f"partitions: {{cron: {self._request.cron}, start: {_midnight(min(self._time.instants))}}}",
            f"guess: {'days' if self._request.cron == DAILY else 'hours'}, from the sample's first on",
        )
        yield "destination: {partition_by: day}"
        if CHANGED.search(self._time.name):
            yield "moving: true # guess: a record gets a new time when it changes"


def _midnight(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d}T00:00:00"


def _column(column: DraftColumn, *, required: bool) -> dict[str, object]:
    keys: dict[str, object] = {"name": column.name}
    if column.type is not ColumnType.STRING:
        keys["type"] = column.type.value
    if column.origin:
        keys["from"] = column.origin
    elif column.path.text != column.name:
        keys["path"] = column.path.text
    if column.written is not TimeForm.ISO:
        keys["written"] = str(column.written)
    if column.truncates:
        keys["finer"] = "truncate"
    if required:
        keys["required"] = True
    return keys


def _noted(line: str, note: str) -> str:
    return f"{line} # {' '.join(note.split())}" if note else line


def flow(value: object) -> str:
    """A value as YAML on one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{scalar(name)}: {flow(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    return scalar(value)


def scalar(value: object) -> str:
    """A single value as YAML that reads as the same value."""
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) or _URL.fullmatch(value)
        return value if plain and value.casefold() not in _WORDS else _quoted(value)
    return json.dumps(value)


def _quoted(text: str) -> str:
    """The text in quotes; what YAML does not take as it is, by its number."""
    written = json.dumps(text, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in written)
