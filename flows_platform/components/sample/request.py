"""The request of a sample, from its URL: what is the range, what is a secret, and what stays as it is."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from flows_platform.components.faults.written_secrets import is_secret_name
from flows_platform.domain.schema import plain_name

_ZONE = r"(Z|[+-][0-9]{2}:?[0-9]{2})?"
_TIMES = (
    ("date", re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")),
    ("iso", re.compile(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}})?{_ZONE}")),
    ("iso_milliseconds", re.compile(rf"[0-9-]{{10}}[T ][0-9:]{{8}}\.[0-9]{{3}}{_ZONE}")),
    ("iso_microseconds", re.compile(rf"[0-9-]{{10}}[T ][0-9:]{{8}}\.[0-9]{{6}}{_ZONE}")),
    ("seconds", re.compile(r"1[0-9]{9}")),
    ("milliseconds", re.compile(r"1[0-9]{12}")),
)
_CLOCK = r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{6}|\.[0-9]{3})?)?"
_INSTANT = re.compile(rf"(?<![0-9])[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:{_CLOCK}{_ZONE})?(?![0-9])")
_FOLDER = re.compile(r"(?<![0-9])[0-9]{4}([-/_]?)[0-9]{2}\1[0-9]{2}(?:([-/_T])([0-9]{1,2}))?(?![0-9])")
_ZONED = re.compile(r"(Z|[+-][0-9]{2}:?[0-9]{2})$")
_BEFORE = re.compile(r"before|end|until|to$|lt|max|stop|latest", re.IGNORECASE)
_SIZE = re.compile(r"limit|(per_?|page_?)(page|size)|resultsperpage|size|\$?top|rows|max_?results", re.IGNORECASE)
DAILY, HOURLY = "0 0 * * *", "0 * * * *"
TWO_BOUNDS = 2


@dataclass(slots=True)
class DraftRequest:
    """What a URL says of the request; `time` holds the keys of `api.time`, without any where the URL has no range.

    `guess` is what of `time` is not in the URL, and `cron` how long the windows are.
    """

    url: str
    time: dict[str, object] = field(default_factory=dict)
    guess: str = ""
    parameters: dict[str, object] = field(default_factory=dict)
    size: tuple[str, int] | None = None
    auth: dict[str, object] | None = None
    numbers: dict[str, tuple[str, int]] = field(default_factory=dict)
    cron: str = DAILY

    def numbered(self, names: Collection[str]) -> tuple[str, int] | None:
        """The parameter of one of these names that had a number, and the number."""
        return next((self.numbers[name] for name in names if name in self.numbers), None)


def draft_request(url: str | None, name: str, paged: Collection[str], cursors: Collection[str]) -> DraftRequest:
    """The request of a URL as one was sent; secrets in it become variables.

    Parameters with a name of `paged` or `cursors` are left out. Without a URL it is a placeholder.
    """
    parts = urlsplit(url or f"https://api.example/v1/{name}")
    host = parts.netloc.rpartition("@")[2]
    draft = DraftRequest(urlunsplit((parts.scheme, host, parts.path or "/", "", "")))
    variable = name.upper()
    if parts.username:
        draft.auth = {"kind": "basic", "user": {"env": f"{variable}_USER"}, "password": {"env": f"{variable}_PASSWORD"}}
    times: dict[str, tuple[str, str]] = {}
    for parameter, value in parse_qsl(parts.query, keep_blank_values=True):
        plain = parameter.replace("_", "").replace("-", "").casefold()
        if form := _form(value):
            times[parameter] = (form, value)
        elif _SIZE.fullmatch(parameter) and value.isdecimal():
            draft.size = (parameter, int(value))
        elif plain in paged:
            if value.isdecimal():
                draft.numbers[plain] = (parameter, int(value))
        elif plain in cursors:
            continue
        elif is_secret_name(parameter):
            _take_secret(draft, parameter, variable)
        else:
            draft.parameters[parameter] = value
    _take_parameters(draft, times)
    _take_texts(draft)
    _take_folder(draft, parts.path)
    return draft


def _take_secret(draft: DraftRequest, parameter: str, variable: str) -> None:
    """The first secret is the key, and the others are parameters; all by the names of variables."""
    if draft.auth is None:
        draft.auth = {"kind": "query", "name": parameter, "value": {"env": f"{variable}_KEY"}}
    else:
        draft.parameters[parameter] = {"env": f"{variable}_{plain_name(parameter, otherwise='other').upper()}"}


def _form(value: str) -> str | None:
    """How the text writes an instant, if it is one."""
    return next((form for form, pattern in _TIMES if pattern.fullmatch(value)), None)


def _zone(form: str, value: str) -> dict[str, object]:
    return {"suffix": ""} if form.startswith("iso") and not _ZONED.search(value) else {}


def _take_parameters(draft: DraftRequest, times: dict[str, tuple[str, str]]) -> None:
    """The range's parameters: the end has a name such as `until`, the start another."""
    before = next((name for name in times if _BEFORE.search(name)), None)
    after = next((name for name in times if name != before), None)
    if after and not before and len(times) > 1:
        before = next(name for name in times if name != after)
    if after:
        form, value = times[after]
        end: dict[str, object] = {"before": before} if before else {"stop": "never"}
        draft.time = {"after": after, **end, "written": form, **_zone(form, value)}
        draft.guess = "" if before else "guess: the URL has no end, so that all later records are read and skipped"
    for name in times.keys() - {after, before} if draft.time else times:
        draft.parameters[name] = times[name][1]


def _take_texts(draft: DraftRequest) -> None:
    """A range inside a text, such as `at ge 2024-03-01T00:00:00Z and at lt 2024-03-02T00:00:00Z`."""
    for name, value in draft.parameters.items():
        bounds = [found[0] for found in _INSTANT.finditer(value)] if isinstance(value, str) else []
        if draft.time or len(bounds) != TWO_BOUNDS or (form := _form(bounds[0])) is None or form != _form(bounds[1]):
            continue
        names = iter(("{start}", "{end}"))
        draft.parameters[name] = _INSTANT.sub(lambda _, names=names: next(names), str(value))  # type: ignore[misc]
        draft.time = {"written": form, **_zone(form, bounds[0])}


def _take_folder(draft: DraftRequest, path: str) -> None:
    """A path with the date, or the date and hour, of its records."""
    found = _FOLDER.search(path)
    if draft.time or found is None:
        return
    between, before_hour, hour = found.groups()
    form = f"%Y{between}%m{between}%d" + (f"{before_hour}{'%H' if len(hour) > 1 else '%-H'}" if hour else "")
    draft.url = draft.url.replace(found[0], f"{{start:{form}}}", 1)
    draft.time = {"stop": "never"}
    draft.guess = f"guess: one file for each {'hour' if hour else 'day'}; records outside it are skipped"
    draft.cron = HOURLY if hour else DAILY
