"""What Accept and Accept-Encoding choose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_server.http.negotiation import ContentCoding, choose_coding, choose_format
from api_server.http.problems import Problem
from flows_platform.formats.protocol.names import WireFormat

ALL = tuple(WireFormat)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, WireFormat.JSON),
        ("", WireFormat.JSON),
        ("*/*", WireFormat.JSON),
        ("application/*", WireFormat.JSON),
        ("text/*", WireFormat.CSV),
        ("TEXT/CSV", WireFormat.CSV),
        ("text/csv;q=0.5, application/xml;q=0.6", WireFormat.XML),
        ("text/csv, */*", WireFormat.CSV),
        ("text/csv;q=0.1, */*;q=0.2", WireFormat.JSON),
        ("application/json;q=0, application/*", WireFormat.ARROW),
        ("application/json, application/vnd.apache.arrow.stream", WireFormat.ARROW),
        ("application/vnd.apache.arrow.stream;q=1.0, application/x-ndjson;q=0.9", WireFormat.ARROW),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", WireFormat.XML),
        ("application/json; charset=utf-8", WireFormat.JSON),
        ("nonsense;q=x", WireFormat.JSON),
    ],
)
def test_the_format_that_accept_chooses(accept: str | None, expected: WireFormat) -> None:
    assert choose_format(accept, ALL) is expected


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "*/*;q=0", "text/html"])
def test_nothing_acceptable(accept: str) -> None:
    with pytest.raises(Problem) as caught:
        choose_format(accept, ALL)
    assert caught.value.status == 406
    assert "text/csv" in str(caught.value.members["allowed"])


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        (None, ContentCoding.IDENTITY),
        ("", ContentCoding.IDENTITY),
        ("identity", ContentCoding.IDENTITY),
        ("br, deflate", ContentCoding.IDENTITY),
        ("gzip", ContentCoding.GZIP),
        ("GZIP;q=0.1", ContentCoding.GZIP),
        ("gzip;q=0", ContentCoding.IDENTITY),
        ("gzip;q=0, *", ContentCoding.ZSTD),
        ("gzip, deflate, br, zstd", ContentCoding.ZSTD),
        ("gzip;q=1, zstd;q=0.9", ContentCoding.GZIP),
        ("*", ContentCoding.ZSTD),
        ("*;q=0", ContentCoding.IDENTITY),
        ("identity, gzip;q=0.5", ContentCoding.IDENTITY),
        ("gzip;q=2", ContentCoding.IDENTITY),
    ],
)
def test_the_coding_that_accept_encoding_chooses(accept_encoding: str | None, expected: ContentCoding) -> None:
    assert choose_coding(accept_encoding) is expected


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_no_header_breaks_the_choice(header: str) -> None:
    choose_coding(header)
    try:
        choose_format(header, ALL)
    except Problem as problem:
        assert problem.status == 406  # noqa: PT017  either outcome is fine, this is what the refusal must be
