"""Rules for the requests that a source declares beside that of its list."""

from collections.abc import Iterator

from flows_platform.components.source import Api, TableKeys
from flows_platform.declared import Fault, KeyPath
from flows_platform.fetch.declared_request import DeclaredRequest
from flows_platform.fetch.time_parameters import Stop


def first_request(api: Api) -> tuple[KeyPath, DeclaredRequest]:
    """The first request of a range, with the path of its keys."""
    return ("api", "job", "start") if api.job else ("api",), api.first


def further_requests(api: Api) -> Iterator[tuple[KeyPath, DeclaredRequest]]:
    """The requests after it, with the paths of their keys."""
    if api.details:
        yield ("api", "details"), api.details
    if api.job:
        yield from ((("api", "job", name), request) for name, request in api.job.further.items())


def further_faults(source: TableKeys) -> Iterator[Fault]:
    """What does not fit together."""
    if source.api.details:
        yield from _details_faults(source.api)
    if source.api.job:
        yield from _job_faults(source.api)
    elif source.api.url is None:
        yield Fault(("api",), "`url` is missing: give the full endpoint; without it, a `job` is needed")


def _details_faults(api: Api) -> Iterator[Fault]:
    if api.paging and api.paging.continues_from:
        yield Fault(("api", "paging", "kind"), "the list has ids only: pages cannot continue from a column")
    if api.time and api.time.stop is Stop.BEYOND:
        yield Fault(("api", "time", "stop"), "the list has ids only: it does not show which record is past the window")


def _job_faults(api: Api) -> Iterator[Fault]:
    for key in ("url", "method", "body", "body_form"):
        if key in api.model_fields_set:
            yield Fault(
                ("api", key), "the first request is that of `job.start`: leave this key out, and write it there"
            )
    for key in ("paging", "details"):
        if getattr(api, key) is not None:
            yield Fault(("api", key), "the status of the `job` says what there is to read: leave one of the two out")
    if api.time and api.time.stop is Stop.BEYOND:
        yield Fault(("api", "time", "stop"), "a job writes all records, in any order: write `never`")
