"""NDJSON of nested records: a line is read unchanged, numbers keep their digits, only bad lines are rejected."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.casting import as_mappings
from flows_platform.columns.raw_records import Unreadable
from flows_platform.domain.errors import StreamIncomplete
from flows_platform.formats.decoders import Layout, envelope_of, open_document
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.lanl_flows.schema import FLOWS

from .test_guards import RECORDS, SIZES, Cut


def read(body: bytes, sizes: list[int]) -> list[object]:
    document = open_document(WireFormat.NDJSON, Cut(body, sizes), Layout(FLOWS, whole=True))
    found: list[object] = [record for piece in document.slices() for record in as_mappings(piece)]
    assert envelope_of(document) == {}
    return found


@given(RECORDS, SIZES, st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_nested_records_come_through_as_they_were_sent(
    sent: list[dict[str, object]], sizes: list[int], end: str
) -> None:
    assert read("".join(json.dumps(record) + end for record in sent).encode(), sizes) == sent


def test_numbers_keep_their_digits_and_bad_lines_stand_alone() -> None:
    found = read(b'{"a": {"b": 1.10}}\n[1]\n{"a": 1, "a": 2}\n{"c": 1e400}\n', [7])
    assert found[0] == {"a": {"b": Decimal("1.10")}}
    assert [type(record) for record in found[1:3]] == [Unreadable, Unreadable]
    assert found[3] == {"c": Decimal("1e400")}


def test_a_line_without_its_end_is_a_cut() -> None:
    with pytest.raises(StreamIncomplete, match="ends inside a line"):
        read(b'{"a": 1}\n{"a": 2}', [9])
