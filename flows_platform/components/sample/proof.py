"""Reads a sample as a run would: what a run cannot read is not drafted, and what it rejects is counted."""

import io
from collections.abc import Iterator
from pathlib import Path

from flows_platform.columns.paths import RecordPath
from flows_platform.columns.raw_records import Unreadable
from flows_platform.components.sample.answer import SampleAnswer
from flows_platform.domain.errors import ConfigurationError, PlatformError
from flows_platform.domain.schema import TableSchema
from flows_platform.formats.csv.dialect import CsvDialect
from flows_platform.formats.decoders import Layout, open_document
from flows_platform.formats.protocol.names import WireFormat

NO_COLUMNS = TableSchema("sample", "", (), key="", time="")


def unreadable_records(path: Path, body: bytes, answer: SampleAnswer) -> tuple[str, ...]:
    """Why a run would reject records of the sample, a reason for each of them.

    Raises:
        ConfigurationError: a run could not read the sample at all.
    """
    keys = answer.keys
    names = keys.get("names")
    layout = Layout(
        NO_COLUMNS,
        records=str(keys.get("records", "")),
        record=str(keys.get("record", "")),
        whole=True,
        doctype=bool(keys.get("doctype")),
        plain_names="namespaces" in keys,
        names=RecordPath.parse(names) if isinstance(names, str) else tuple(names) if isinstance(names, list) else None,
        record_key=str(keys["record_key"]) if "record_key" in keys else None,
        dialect=CsvDialect.model_validate(keys.get("csv", {})),
        proven=True,
    )
    document = open_document(WireFormat(answer.format), io.BytesIO(body), layout)
    try:
        return tuple(reason for found in document.slices() for reason in _reasons(found))
    except PlatformError as error:
        raise ConfigurationError(
            f"{path} cannot be read as a run would: {error.message}", remedy=error.remedy or "Give another answer."
        ) from None


def _reasons(found: object) -> Iterator[str]:
    if isinstance(found, list):
        yield from (record.reason for record in found if isinstance(record, Unreadable))
