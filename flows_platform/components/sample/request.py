"""The request of a sample, from its URL: what is the range, what is a secret, and what stays as it is."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit, urlunsplit

_TIMES = (
    ("date", re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")),
    ("iso", re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:?[0-9]{2})?")),
    ("iso_milliseconds", re.compile(r"[0-9-]{10}[T ][0-9:]{8}\.[0-9]{3}(Z|[+-][0-9]{2}:?[0-9]{2})?")),
    ("iso_microseconds", re.compile(r"[0-9-]{10}[T ][0-9:]{8}\.[0-9]{6}(Z|[+-][0-9]{2}:?[0-9]{2})?")),
    ("seconds", re.compile(r"1[0-9]{9}")),
    ("milliseconds", re.compile(r"1[0-9]{12}")),
)
_BEFORE = re.compile(r"before|end|until|to$|lt|max|stop|latest", re.IGNORECASE)
_SECRET = re.compile(r"key|token|secret|password|auth|signature", re.IGNORECASE)
_SIZE = re.compile(r"limit|(per_?|page_?)(page|size)|resultsperpage|size|\$?top|rows|max_?results", re.IGNORECASE)


@dataclass(slots=True)
class DraftRequest:
    """What a URL says of the request; `time` holds the keys of `api.time`, without any where the URL has no range."""

    url: str
    time: dict[str, object] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    size: tuple[str, int] | None = None
    auth: dict[str, object] | None = None
    numbers: dict[str, tuple[str, int]] = field(default_factory=dict)

    def numbered(self, names: Collection[str]) -> tuple[str, int] | None:
        """The parameter of one of these names that had a number, and the number."""
        return next((self.numbers[name] for name in names if name in self.numbers), None)


def draft_request(url: str | None, name: str, paged: Collection[str]) -> DraftRequest:
    """The request of a URL as one was sent; secrets in it become variables, and parameters named `paged` are left out.

    Without a URL it is a placeholder.
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
        form = next((form for form, pattern in _TIMES if pattern.fullmatch(value)), None)
        if form:
            times[parameter] = (form, value)
        elif _SIZE.fullmatch(parameter) and value.isdecimal():
            draft.size = (parameter, int(value))
        elif plain in paged:
            if value.isdecimal():
                draft.numbers[plain] = (parameter, int(value))
        elif _SECRET.search(parameter):
            draft.auth = {"kind": "query", "name": parameter, "value": {"env": f"{variable}_KEY"}}
        else:
            draft.parameters[parameter] = value
    _take_times(draft, times)
    return draft


def _take_times(draft: DraftRequest, times: dict[str, tuple[str, str]]) -> None:
    """The range's parameters: the end has a name such as `until`, the start another."""
    before = next((name for name in times if _BEFORE.search(name)), None)
    after = next((name for name in times if name != before), None)
    if after and not before and len(times) > 1:
        before = next(name for name in times if name != after)
    if after and before:
        form, value = times[after]
        zone = {"suffix": ""} if form.startswith("iso") and not re.search(r"Z$|[+-][0-9]{2}:?[0-9]{2}$", value) else {}
        draft.time = {"after": after, "before": before, "written": form, **zone}
    for name in times.keys() - {after, before} if draft.time else times:
        draft.parameters[name] = times[name][1]
