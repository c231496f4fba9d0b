"""Rules for the requests that a source declares beside that of its list."""

from collections.abc import Iterator

from flows_platform.components.rules import Fault
from flows_platform.components.source import Api, TableKeys
from flows_platform.declared import KeyPath
from flows_platform.fetch.declared_request import DeclaredRequest
from flows_platform.fetch.time_parameters import Stop


def further_requests(api: Api) -> Iterator[tuple[KeyPath, DeclaredRequest]]:
    """The requests, with the paths of their keys."""
    if api.details:
        yield ("api", "details"), api.details


def further_faults(source: TableKeys) -> Iterator[Fault]:
    """What does not fit together."""
    api = source.api
    if api.details is None:
        return
    if len(source.key_columns) > 1 and api.details.record_id is None:
        yield Fault(("api", "details"), "the key has several columns: declare the path of a record's id as `record_id`")
    if api.paging and api.paging.continues_from:
        yield Fault(("api", "paging", "kind"), "the list has ids only: pages cannot continue from a column")
    if api.time and api.time.stop is Stop.BEYOND:
        yield Fault(("api", "time", "stop"), "the list has ids only: it does not show which record is past the window")
