"""Slow, redirected and bloated answers: all end with their own error within their limit."""

import gzip
import zlib
from collections.abc import Callable

import pytest
import zstandard

from flows_platform.domain.errors import PlatformError, SourceRefused, SourceUnavailable, StreamIncomplete
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.http.decompression import decompressor
from flows_platform.fetch.http.pace import HttpLimits, Pace
from flows_platform.fetch.http.redirects import redirect_target
from flows_platform.fetch.http.request import Request

from .flow_bodies import json_body, row
from .scripted import ScriptedServer, Trickle, answer

BODY = json_body([row(number) for number in range(1, 31)])


def read_all(client: HttpClient, url: str, **headers: str) -> int:
    with client.stream(Request(url, headers=headers)) as received:
        return sum(len(piece) for piece in iter(lambda: received.read(1 << 16), b""))


def head(body: bytes) -> bytes:
    return answer(body)[: -len(body)]


LATE = "is not done 3 s after the window was started"


@pytest.mark.parametrize(
    ("part", "fault"), [("body", LATE), ("chunk size", LATE), ("head", "the answer's head was not complete within 1 s")]
)
def test_a_trickle_ends_with_the_deadline(server: ScriptedServer, part: str, fault: str) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.scripts = [
        {
            "body": Trickle(head(BODY), BODY[:50], 0.2),  # ten seconds, if nothing ends it
            "chunk size": Trickle(chunked, b"1;" + b"x" * 50, 0.2),
            "head": Trickle(b"HTTP/1.1 200 OK\r\n", b"X-Padding: " + b"x" * 50, 0.1),
        }[part]
    ]
    # Three seconds, for the head to come in time on a busy machine too.
    limits = HttpLimits(read=1.0, total=30.0) if part == "head" else HttpLimits(read=30.0, total=3.0)
    client = HttpClient(limits)
    with pytest.raises(SourceUnavailable, match=fault):
        read_all(client, server.url)
    client.close()


def test_a_trickle_is_slower_than_the_least_rate(server: ScriptedServer) -> None:
    server.scripts = [Trickle(head(BODY), BODY[:200], 0.02)]
    client = HttpClient(HttpLimits(rate=10_000, rate_over=0.5))
    with pytest.raises(SourceUnavailable, match="bytes a second, less than 10,000"):
        read_all(client, server.url)
    client.close()


def test_a_read_that_does_not_return_is_ended(server: ScriptedServer) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.scripts = [Trickle(chunked, b"1;" + b"x" * 50, 0.1)]
    client = HttpClient(HttpLimits(read=2.0))  # the head has come by then
    with pytest.raises(SourceUnavailable, match=r"did not finish a read within 2 s"):
        read_all(client, server.url)
    client.close()


def test_a_deadline_that_has_passed_asks_for_nothing(server: ScriptedServer) -> None:
    client = HttpClient(clock=lambda: 100.0)
    with (
        pytest.raises(SourceUnavailable, match="is not done 3600 s after the window was started"),
        client.stream(Request(server.url), deadline=99.0),
    ):
        pass
    assert server.requests == []


def test_only_waiting_counts_against_the_rate() -> None:
    now = [0.0]
    pace = Pace(HttpLimits(rate=1000, rate_over=60), lambda: now[0], deadline=1e9)

    def read(seconds: float, received: int) -> str:
        pace.begin()
        now[0] += seconds
        pace.end(received)
        return pace.fault()

    for _ in range(50):
        now[0] += 100  # our own work between reads
        assert read(1.0, 1000) == ""
    assert read(9.0, 8000) == ""  # 59 s of waiting
    assert read(1.0, 2500) == ""  # 60 s: 60,500 bytes, and the account starts again
    assert read(59.0, 30_000) == ""
    assert read(1.0, 0) == "sends 500 bytes a second, less than 1,000"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_on_the_same_origin_are_followed_with_credentials(server: ScriptedServer, status: int) -> None:
    server.scripts = [answer(b"", status=f"{status} Moved", Location="/elsewhere?a=1"), answer(BODY)]
    client = HttpClient()
    assert read_all(client, server.url, Authorization="Bearer canary") == len(BODY)
    assert server.requests[1].startswith("GET /elsewhere?a=1 ")
    assert "Bearer canary" in server.requests[1]
    client.close()


def test_redirects_end_after_three(server: ScriptedServer) -> None:
    server.scripts = [*[answer(b"", status="302 Found", Location="/again")] * 4, answer(BODY)]
    client = HttpClient()
    with pytest.raises(SourceRefused, match="redirects more than 3 times"):
        read_all(client, server.url)
    assert len(server.requests) == 4
    client.close()


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:9/",
        "http://localhost:{port}/",
        "https://127.0.0.1:{port}/",
        "//evil.example/",
        "http://u:p@evil.example/?token=canary",
        "file:///etc/passwd",
        "http://127.0.0.1:99999/",
        "",
    ],
)
def test_redirects_to_another_origin_are_refused(server: ScriptedServer, location: str) -> None:
    port = server.origin.rpartition(":")[2]
    server.scripts = [answer(b"", status="302 Found", Location=location.format(port=port))]
    client = HttpClient()
    with pytest.raises(SourceRefused) as refused:
        read_all(client, server.url, Authorization="Bearer canary")
    assert len(server.requests) == 1
    assert "canary" not in str(refused.value)
    client.close()


def test_a_downgrade_from_https_is_another_origin() -> None:
    with pytest.raises(SourceRefused, match="another origin"):
        redirect_target("https://a.example/x", "http://a.example/x", 0)
    assert redirect_target("https://a.example/x", "https://a.example:443/y", 0) == "https://a.example:443/y"


@pytest.mark.parametrize(
    "script",
    [
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(200)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"y" * 70_000 + b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"",
        b"\x16\x03\x01\x02",
    ],
)
def test_a_head_that_is_none_is_an_error_by_type(server: ScriptedServer, script: bytes) -> None:
    server.scripts = [script]
    client = HttpClient()
    with pytest.raises(PlatformError):
        read_all(client, server.url)
    client.close()


BOMB = b"[" + b" " * (80 << 20) + b"]"


def damaged(packed: bytes, change: Callable[[bytearray], None]) -> bytes:
    data = bytearray(packed)
    change(data)
    return bytes(data)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_compression_bomb_is_refused(server: ScriptedServer, coding: str) -> None:
    packed = gzip.compress(BOMB) if coding == "gzip" else zstandard.compress(BOMB)
    server.scripts = [answer(packed, Content_Encoding=coding)]
    client = HttpClient()
    with pytest.raises(SourceRefused, match="expands more than 250 times"):
        read_all(client, server.url)
    client.close()


def _flip(place: int) -> Callable[[bytearray], None]:
    def flip(data: bytearray) -> None:
        data[place] ^= 0xFF

    return flip


CORRUPTIONS: dict[str, Callable[[bytes], bytes]] = {
    "last byte missing": lambda packed: packed[:-1],
    "checksum missing": lambda packed: packed[:-8],
    "half": lambda packed: packed[: len(packed) // 2],
    "a byte changed within": lambda packed: damaged(packed, _flip(len(packed) // 2)),
    "checksum changed": lambda packed: damaged(packed, _flip(-5 if packed[:2] == b"\x1f\x8b" else -1)),
    "header changed": lambda packed: damaged(packed, _flip(0)),
    "other bytes follow": lambda packed: packed + b"\0" * 20,
    "a second one without its end": lambda packed: packed + packed[:-4],
    "a second one of which a byte came": lambda packed: packed + packed[:1],
    "a second one with a byte changed": lambda packed: packed + damaged(packed, _flip(len(packed) // 2)),
}
SKIPPABLE = b"\x5a\x2a\x4d\x18\x05\x00\x00\x00other"  # RFC 8878, 3.1.2
CHECKED = zstandard.ZstdCompressor(write_checksum=True)
EMPTY_FRAME = CHECKED.compress(b"")
PARTS: dict[str, tuple[str, Callable[[bytes], bytes], bool]] = {  # coding, packed bytes, whether they lack a checksum
    "gzip": ("gzip", lambda part: gzip.compress(part) + gzip.compress(b""), False),
    "zstd": ("zstd", CHECKED.compress, False),
    "zstd with what is skipped": ("zstd", lambda part: SKIPPABLE + CHECKED.compress(part) + EMPTY_FRAME, False),
    "zstd without checksums": ("zstd", zstandard.compress, True),
    "zstd, the first with one": (
        "zstd",
        lambda part: (CHECKED if part[:1] == b"{" else zstandard).compress(part),
        True,
    ),
}


@pytest.mark.parametrize("name", list(PARTS))
def test_members_and_frames_follow_each_other(server: ScriptedServer, name: str) -> None:
    coding, pack, unchecked = PARTS[name]
    body = b'{"records":[' + b'{"id":1234567890,"name":"abc"},' * 20_000 + b"{}]}"
    packed = b"".join(pack(body[start : start + 100_003]) for start in range(0, len(body), 100_003))
    server.scripts = [answer(packed, Content_Encoding=coding)]
    client = HttpClient()
    with client.stream(Request(server.url)) as received:
        assert b"".join(iter(lambda: received.read(1 << 14), b"")) == body
        assert received.unchecked is unchecked
    client.close()


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_are_read_wherever_pieces_of_the_transfer_end(coding: str) -> None:
    packed = gzip.compress(b"abc") * 3 if coding == "gzip" else (SKIPPABLE + CHECKED.compress(b"abc")) * 3
    for size in range(1, len(packed)):
        reader, read = decompressor(coding), b""
        for start in range(0, len(packed), size):
            reader.give(packed[start : start + size])
            while piece := reader.take(2):
                read += piece
        reader.finish()
        assert read == b"abcabcabc"


@pytest.mark.parametrize("name", list(CORRUPTIONS))
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_corrupt_compression_never_passes(server: ScriptedServer, coding: str, name: str) -> None:
    checked = zstandard.ZstdCompressor(write_checksum=True)
    packed = gzip.compress(BODY, mtime=0) if coding == "gzip" else checked.compress(BODY)
    server.scripts = [answer(CORRUPTIONS[name](packed), Content_Encoding=coding)]
    client = HttpClient()
    with pytest.raises((StreamIncomplete, SourceRefused)):
        read_all(client, server.url)
    client.close()


def test_what_follows_a_gzip_body_is_named(server: ScriptedServer) -> None:
    server.scripts = [answer(gzip.compress(BODY) + b"<html>", Content_Encoding="gzip")]
    client = HttpClient()
    with pytest.raises(SourceRefused, match="bytes follow the end of the gzip body"):
        read_all(client, server.url)
    client.close()


def test_raw_deflate_is_no_coding_of_ours(server: ScriptedServer) -> None:
    server.scripts = [answer(zlib.compress(BODY), Content_Encoding="deflate")]
    client = HttpClient()
    with pytest.raises(SourceRefused, match="coded as 'deflate'"):
        read_all(client, server.url)
    client.close()
