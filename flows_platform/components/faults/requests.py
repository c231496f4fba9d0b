"""Rules between the keys of a request: its method, its body, and the bounds of a range in its texts."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import ValidationError

from flows_platform.components.faults.further_requests import first_request, further_faults, further_requests
from flows_platform.components.source import Api, Partitions, TableKeys
from flows_platform.declared import Fault, KeyPath, Secret, is_template
from flows_platform.domain.cron import HOUR, Cron
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.strftime import StrftimeText, StrftimeTime
from flows_platform.domain.window_length import longest
from flows_platform.fetch.auth import OAuth2
from flows_platform.fetch.body import BodyForm, is_secret, leaves
from flows_platform.fetch.declared_request import DeclaredRequest
from flows_platform.fetch.paging import Cursor
from flows_platform.fetch.range_templates import RangeTemplates, require_readable
from flows_platform.fetch.time_parameters import Written


def request_faults(source: TableKeys) -> Iterator[Fault]:
    """What does not fit together."""
    api = source.api
    yield from further_faults(source)
    yield from _cursor_faults(api)
    yield from _tls_faults(api)
    for at, request in [first_request(api), *further_requests(api)]:
        yield from _body_faults(request, at)
        # guard: all of a URL is sent
        if urlsplit(request.url).fragment:
            yield Fault((*at, "url"), "what follows # is not sent: leave it out, or write %23")
    texts, own = dict(texts_of(api)), dict(_own_texts(api))
    if unreadable := list(_unreadable(texts)):
        yield from unreadable
        return
    if api.time is None:
        return
    try:
        templates, listed = RangeTemplates.of(texts.values()), RangeTemplates.of(own.values())
    except ConfigurationError as error:
        yield Fault(("api", "time"), str(error))
        return
    time = api.time
    if time.after is None and not listed.names_start:
        yield _without("after", "start")
    named = "`before`" if time.before is not None else "{end}" if listed.names_end else ""
    if not named and time.stop is None:
        yield _without("before", "end", ", or declare `stop` where the API takes no end")
    if named and time.stop:
        yield Fault(("api", "time", "stop"), f"the request names its end by {named}: leave one of the two out")
    if not named and "cron" not in source.partitions.model_fields_set:
        yield from _unsaid_length(api, source.partitions)
    written = None if isinstance(time.written, Written) else StrftimeTime.of([StrftimeText.parse(time.written)])
    yield from _inexact(
        ("api", "time", "written") if written else ("api", "time"),
        [written, templates.start, templates.end],
        source.partitions,
    )


def _without(key: str, bound: str, otherwise: str = "") -> Fault:
    remedy = f"name its parameter, or write {{{bound}}} in url, parameters, headers or body{otherwise}"
    return Fault(("api", "time"), f"`{key}` is missing: {remedy}")


def _tls_faults(api: Api) -> Iterator[Fault]:
    urls = [api.first.url, api.auth.token_url] if isinstance(api.auth, OAuth2) else [api.first.url]
    if api.tls and not any(url.startswith("https://") or is_template(url) for url in urls):
        yield Fault(("api", "tls"), f"{urls[0]} is not https")


def _cursor_faults(api: Api) -> Iterator[Fault]:
    if not (isinstance(api.paging, Cursor) and api.paging.into.body):
        return
    at = ("api", "paging", "into", "body")
    if api.body is None:
        yield Fault(at, "there is no `body`")
    if isinstance(api.body, list):
        yield Fault(at, "`body` is an array, which has no members by name")


def _body_faults(request: DeclaredRequest, at: KeyPath) -> Iterator[Fault]:
    if request.body is None:
        if "body_form" in request.model_fields_set:
            yield Fault((*at, "body_form"), "there is no `body`")
        return
    if request.method == "GET":
        yield Fault((*at, "body"), "a GET has no body; write `method: POST`")
    for path, value in leaves(request.body):
        if is_secret(value):
            yield from _secret_faults((*at, "body", *path), value)
    if request.body_form is BodyForm.JSON:
        return
    if isinstance(request.body, list):
        yield Fault((*at, "body"), "a form has names; an array has not")
    else:
        members = request.body.items()
        nested = [name for name, value in members if isinstance(value, dict | list) and not is_secret(value)]
        empty = [name for name, value in members if value is None]
        for name in [*nested, *empty]:
            yield Fault((*at, "body", name), "a form holds texts, numbers, true and false; JSON holds others")


def _secret_faults(at: KeyPath, value: object) -> Iterator[Fault]:
    try:
        Secret.model_validate(value)
    except ValidationError as error:
        for fault in error.errors():
            yield Fault((*at, *fault["loc"]), fault["msg"])


def texts_of(api: Api) -> Iterator[tuple[KeyPath, str]]:
    """The texts of all requests that may name bounds, with their paths."""
    yield from _own_texts(api)
    for at, further in further_requests(api):
        yield from _texts(further, at)


def _own_texts(api: Api) -> Iterator[tuple[KeyPath, str]]:
    """Those of a range's first request."""
    at, first = first_request(api)
    yield from _texts(first, at)
    for key, texts in (("parameters", api.parameters), ("headers", api.headers)):
        yield from ((("api", key, name), text) for name, text in texts.items() if isinstance(text, str))


def _texts(request: DeclaredRequest, at: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    yield (*at, "url"), request.url
    texts = leaves(request.body or {})
    yield from (((*at, "body", *path), value) for path, value in texts if isinstance(value, str))


def _unreadable(texts: dict[KeyPath, str]) -> Iterator[Fault]:
    for at, text in texts.items():
        try:
            require_readable(text)
        except ConfigurationError as error:
            yield Fault(at, str(error))


def _unsaid_length(api: Api, partitions: Partitions) -> Iterator[Fault]:
    """A path that names a file of hours by its start, while nothing says how long windows are."""
    path = RangeTemplates.of([urlsplit(api.first.url).path])
    length = Cron.parse(partitions.cron).length
    # guard: a window is not longer than the file that its URL names
    if path.start and path.resolution >= HOUR and longest(length) > path.resolution:
        yield Fault(
            ("partitions",),
            f"the path of the URL names one {path.start.finest.name.lower()} by its start, and windows last {length} "
            "unless `cron` says otherwise: write `cron`",
        )


def _inexact(at: KeyPath, forms: list[StrftimeTime | None], partitions: Partitions) -> Iterator[Fault]:
    """A form that would round the bounds of the first window or those of the second."""
    if partitions.templated:
        return
    try:
        first = partitions.grid.nth(0)
    except ConfigurationError:  # a fault of the windows, which is reported there
        return
    for form in filter(None, forms):
        for instant in (first.start, first.end):
            try:
                form.require_exact(instant)
            except ConfigurationError as error:
                yield Fault(at, str(error))
                return
