"""One gzip member or zstd frame, whatever its pieces and the threads that prepare them; decodable up to every piece."""

import gzip
import zlib
from itertools import accumulate

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from api_server.http.compression import COMPRESSORS, GzipCompressor, Piece, compressed
from api_server.http.negotiation import ContentCoding

CHECKSUM_BYTES = 4
PIECES = st.lists(st.binary(max_size=40) | st.integers(0, 70_000).map(lambda size: b'{"id":17},' * (size // 10)))
GZIP = 31


@given(pieces=PIECES)
def test_pieces_prepared_in_any_order_are_one_member(pieces: list[bytes]) -> None:
    prepared = [GzipCompressor.prepare(piece) for piece in reversed(pieces)][::-1]
    compressor, decoder = GzipCompressor(), zlib.decompressobj(GZIP)
    # A piece can be read as soon as it is there.
    assert [decoder.decompress(compressor.join(piece)) for piece in prepared] == pieces
    assert not decoder.eof
    assert decoder.decompress(compressor.finish()) == b""
    assert (decoder.eof, decoder.unused_data) == (True, b"")


def test_the_trailer_is_of_all_bytes_and_a_wrong_one_is_seen() -> None:
    body = b"".join(bytes([value % 251]) * value for value in range(2000))
    whole = compressed(body, ContentCoding.GZIP)
    assert gzip.decompress(whole) == body
    compressor = GzipCompressor()
    damaged = GzipCompressor.prepare(body)
    data = compressor.join(Piece(damaged.data, damaged.size, damaged.crc ^ 1)) + compressor.finish()
    with pytest.raises(gzip.BadGzipFile, match="CRC"):
        gzip.decompress(data)


def test_the_size_in_the_trailer_is_modulo_4_gib() -> None:
    compressor, piece = GzipCompressor(), GzipCompressor.prepare(bytes(2**20))
    sizes = list(accumulate([piece.size] * 5000))
    for _ in sizes:
        compressor.join(piece)
    assert int.from_bytes(compressor.finish()[-4:], "little") == sizes[-1] % 2**32 != sizes[-1]


@given(pieces=PIECES)
def test_pieces_are_one_frame(pieces: list[bytes]) -> None:
    compressor, decoder = COMPRESSORS[ContentCoding.ZSTD](), zstandard.ZstdDecompressor().decompressobj()
    assert [decoder.decompress(compressor.join(compressor.prepare(piece))) for piece in pieces] == pieces
    end = compressor.finish()
    decoder.decompress(end)
    assert decoder.unused_data == b""
    assert len(end) >= CHECKSUM_BYTES


def test_every_changed_bit_of_a_frame_is_seen() -> None:
    compressor = COMPRESSORS[ContentCoding.ZSTD]()
    pieces = [b"%d,%d;" % (number, number * 7919 % 1000) * 3 for number in range(40)]
    frame = b"".join(compressor.join(compressor.prepare(piece)) for piece in pieces) + compressor.finish()
    whole, passed = b"".join(pieces), 0
    for bit in range(8 * len(frame)):
        changed = bytearray(frame)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            decoder = zstandard.ZstdDecompressor().decompressobj()
            passed += decoder.decompress(bytes(changed)) != whole and decoder.eof
        except zstandard.ZstdError:
            pass
    assert passed == 0


@pytest.mark.parametrize("coding", ContentCoding)
def test_nothing_at_all_is_a_whole_answer(coding: ContentCoding) -> None:
    data = COMPRESSORS[coding]().finish()
    match coding:
        case ContentCoding.GZIP:
            assert gzip.decompress(data) == b""
        case ContentCoding.ZSTD:
            assert zstandard.ZstdDecompressor().decompressobj().decompress(data) == b""
        case ContentCoding.IDENTITY:
            assert data == b""
