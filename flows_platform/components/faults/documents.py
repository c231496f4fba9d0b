"""Rules between the keys that say how a document holds its records."""

from collections.abc import Iterator

from flows_platform.columns.paths import RecordPath
from flows_platform.components.source import Api
from flows_platform.declared import Fault
from flows_platform.domain.errors import ConfigurationError
from flows_platform.fetch.unpacking import Packing
from flows_platform.formats.json.steps import steps_to
from flows_platform.formats.protocol.names import WireFormat


def document_faults(api: Api) -> Iterator[Fault]:
    """What does not fit together."""
    yield from _unpack_faults(api)
    if api.csv and api.format in set(WireFormat) and api.format != WireFormat.CSV:
        yield Fault(("api", "csv"), f"the format is {api.format}")
    if api.record_key is not None and api.format != WireFormat.JSON:
        yield Fault(("api", "record_key"), f"the format is {api.format}; only json has such records")
    if api.names is not None and api.format not in {WireFormat.JSON, WireFormat.NDJSON}:
        yield Fault(("api", "names"), f"the format is {api.format}; only json and ndjson have such records")
    if isinstance(api.names, RecordPath) and api.format == WireFormat.NDJSON and not api.rows:
        yield Fault(("api", "names"), "a line has no names around it; list them")
    if api.names is not None and api.record_key is not None:
        yield Fault(("api", "record_key"), "the records are arrays, as `names` says: they have no names")
    if isinstance(api.names, list) and len(set(api.names)) < max(1, len(api.names)):
        yield Fault(("api", "names"), "names must be distinct, and at least one")
    if api.format == WireFormat.JSON:
        try:
            steps_to(api.records)
        except ConfigurationError as error:
            yield Fault(("api", "records"), str(error))


def _unpack_faults(api: Api) -> Iterator[Fault]:
    at = ("api", "unpack")
    if api.unpack is None:
        return
    if api.format not in set(WireFormat):
        yield Fault(at, "name the `format` of the packed file")
    if api.flows_protocol:
        yield Fault(at, "servers of `flows_protocol` send no packed files")
    if api.unpack is Packing.ZIP and (api.total or (api.paging and (api.paging.flag or api.paging.reads))):
        yield Fault(at, "each file of a zip file has its own values around its records: a total or a link is in none")
