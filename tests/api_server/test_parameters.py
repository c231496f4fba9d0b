"""The grammar of the query string: exactly what is declared, and a refusal that names the parameter."""

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_server.flows.parameters import StreamRequest, parse_stream
from api_server.flows.selection import Query
from api_server.flows.streams import Proof
from api_server.http.problems import Problem
from flows_platform.domain.schema import INT64_MAX
from flows_platform.formats.protocol.names import WireFormat

ALL = tuple(WireFormat)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", StreamRequest(Query())),
        ("scanned_after=0&scanned_before=0", StreamRequest(Query(0, 0))),
        (f"scanned_before={INT64_MAX}", StreamRequest(Query(None, INT64_MAX))),
        ("limit=1&format=xml", StreamRequest(Query(limit=1), WireFormat.XML)),
        ("scanned%5Fafter=%37", StreamRequest(Query(7))),
        ("footer=1", StreamRequest(Query(), proof=Proof(footer=True))),
        ("digest=1&footer=1", StreamRequest(Query(), proof=Proof(footer=True, digest=True))),
    ],
)
def test_what_is_allowed(query: str, expected: StreamRequest) -> None:
    assert parse_stream(query.encode(), ALL) == expected


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("scanned_after=x", "scanned_after"),
        ("scanned_after=", "scanned_after"),
        ("scanned_after", "scanned_after"),
        ("scanned_before=-1", "scanned_before"),
        ("scanned_before=%2B1", "scanned_before"),
        ("scanned_before=+1", "scanned_before"),
        ("scanned_before=1%20", "scanned_before"),
        ("scanned_before=1%0A", "scanned_before"),
        ("scanned_before=1.0", "scanned_before"),
        ("scanned_before=1e3", "scanned_before"),
        ("scanned_before=0x10", "scanned_before"),
        ("scanned_before=1_000", "scanned_before"),
        ("scanned_before=007", "scanned_before"),
        (f"scanned_before={quote('٣')}", "scanned_before"),
        (f"scanned_before={quote(chr(0xFF13))}", "scanned_before"),
        ("scanned_before=%FF", "scanned_before"),
        (f"scanned_before={INT64_MAX + 1}", "scanned_before"),
        (f"scanned_before={'9' * 5000}", "scanned_before"),
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1&limit=1", "limit"),
        ("footer=0", "footer"),
        ("footer=", "footer"),
        ("footer=true", "footer"),
        ("digest=01", "digest"),
        ("digest=1&digest=1", "digest"),
        ("format=JSON", "format"),
        ("format=parquet", "format"),
        ("format=", "format"),
        ("Limit=1", "Limit"),
        ("since=1", "since"),
        ("=1", ""),
        ("scanned_after=2&scanned_before=1", "scanned_after"),
        ("&".join(["limit=1"] * 40), ""),
    ],
)
def test_what_is_refused(query: str, parameter: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_stream(query.encode(), ALL)
    problem = caught.value
    assert (problem.status, problem.kind, problem.members["parameter"]) == (400, "invalid-parameter", parameter)
    assert problem.members["allowed"]
    assert len(problem.detail) < 200


def test_a_fixed_path_takes_no_other_format() -> None:
    assert parse_stream(b"format=json", (WireFormat.JSON,)) == StreamRequest(Query(), WireFormat.JSON)
    with pytest.raises(Problem, match="format is 'xml'"):
        parse_stream(b"format=xml", (WireFormat.JSON,))


@given(st.one_of(st.text(max_size=30), st.integers().map(str), st.from_regex(r"\s*[+-]?\d+\s*")))
def test_a_bound_is_a_canonical_number_or_refused(text: str) -> None:
    canonical = re.fullmatch("[0-9]+", text, re.ASCII) and str(int(text)) == text and int(text) <= INT64_MAX
    try:
        asked = parse_stream(f"scanned_before={quote(text, safe='')}".encode(), ALL)
    except Problem:
        assert not canonical
    else:
        assert canonical
        assert str(asked.query.before) == text


@given(st.binary(max_size=60))
def test_no_query_string_breaks_the_grammar(query: bytes) -> None:
    try:
        parse_stream(query, ALL)
    except Problem as problem:
        assert problem.status == 400  # noqa: PT017  either outcome is fine, this is what the refusal must be
