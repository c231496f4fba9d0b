"""Draws flows as numbers from the lookup tables: exchanges between two computers, mirrored, repeated, in bursts.

An exchange is a flow, or a flow and its mirror in the opposite direction in the same second.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flows_platform.sources.lanl_flows.sample import profile, profile_volumes
from flows_platform.sources.lanl_flows.sample.lookup_tables import (
    EPHEMERAL,
    KIND_BITS,
    PAIR_BITS,
    PORT_RANK,
    PROTOCOLS,
    RANGE_BITS,
    SHAPE_BITS,
    Ranges,
    durations,
    kinds,
    pairs,
    ranges,
    shapes,
)

type Ints = npt.NDArray[np.int64]
type Words = npt.NDArray[np.uint64]
type Flags = npt.NDArray[np.bool_]

_EPHEMERAL_RANKS = np.array([PORT_RANK[name] for name in EPHEMERAL])
_MAX_PACKETS = np.array([profile_volumes.MAX_PACKETS[protocol] for protocol in PROTOCOLS])
_MAX_BYTES = np.array([profile_volumes.MAX_BYTES[protocol] for protocol in PROTOCOLS])
_PERMILLE_BITS = 10


@dataclass(frozen=True, slots=True)
class Flows:
    """Columns of equal length; computers, ports and protocols are ranks in their tables' order."""

    second: Ints
    duration: Ints
    source: Ints
    source_port: Ints
    target: Ints
    target_port: Ints
    protocol: Ints
    packets: Ints
    bytes: Ints


def draw_flows(seconds: Ints, counts: Ints, bursts: Flags, random: np.random.PCG64) -> Flows:
    """Flows for the seconds in `seconds`, as many as `counts` says. The flows of a burst are between two computers."""
    total = int(counts.sum())
    words = [random.random_raw(total).astype(np.uint64) for _ in range(4)]
    links = _link(counts, bursts, words[3])
    kind = kinds().drawn[_bits(words[0][links.origin], PAIR_BITS, KIND_BITS)]
    in_burst = np.repeat(bursts, counts)
    kind[in_burst] = 0  # bursts are TCP between anonymised ports
    source, target, source_port, target_port = _ends(links, kind, words)
    protocol = kinds().protocol[kind]
    duration, packets, size = _volumes(links, protocol, words)
    second = np.repeat(seconds, counts)
    return Flows(second, duration, source, source_port, target, target_port, protocol, packets, size)


@dataclass(frozen=True, slots=True)
class _Links:
    """How rows depend on each other: the row whose exchange is repeated, the repetition's number, direction."""

    origin: Ints
    repetition: Ints
    reply: Ints  # 1 where the row is the mirror of the one before it
    turned: Flags  # server to client


def _link(counts: Ints, bursts: Flags, words: Words) -> _Links:
    index = np.arange(int(counts.sum()))
    in_second = index - np.repeat(np.cumsum(counts) - counts, counts)
    lead = index - (in_second & 1)
    mirrored = _permille(words[lead], 0, profile.MIRRORED_PERMILLE)
    reply = mirrored & (in_second & 1 == 1)
    # In a burst all but one row in 1,024 repeat the second's first exchange.
    repeats = _permille(words, 10, profile.REPEATED_PERMILLE) | (
        np.repeat(bursts, counts) & (_bits(words, 10, 10) != 0)
    )
    repeats &= in_second >= 2  # noqa: PLR2004 - the second's first exchange has none before it
    origin = np.maximum.accumulate(np.where(reply | repeats, 0, index))
    unit = np.where(reply, lead, index)
    turned = reply ^ (~mirrored & (_bits(words, 20, 10) >= profile.FORWARD_PERCENT * 1024 // 100))
    return _Links(origin, (unit - origin) >> 1, reply.astype(np.int64), turned)


def _ends(links: _Links, kind: Ints, words: list[Words]) -> tuple[Ints, Ints, Ints, Ints]:
    """Source, target and their ports."""
    own = words[0][links.origin]
    pair = pairs().drawn[_bits(own, 0, PAIR_BITS)]
    client, server = pairs().client[pair], pairs().server[pair]
    # Repetitions use the client's next port, as real ones do.
    ephemeral = _EPHEMERAL_RANKS[(_bits(own, 38, 26) + links.repetition) % len(_EPHEMERAL_RANKS)]
    port = kinds().port[kind]
    drawn = _EPHEMERAL_RANKS[_bits(words[1][links.origin], 40, 24) % len(_EPHEMERAL_RANKS)]
    server_port = np.where(port < 0, drawn, port)
    client_port = np.where(kinds().both[kind], server_port, ephemeral)
    turned = links.turned
    return (
        np.where(turned, server, client),
        np.where(turned, client, server),
        np.where(turned, server_port, client_port),
        np.where(turned, client_port, server_port),
    )


def _volumes(links: _Links, protocol: Ints, words: list[Words]) -> tuple[Ints, Ints, Ints]:
    """Duration, packets and bytes; a repetition has its origin's."""
    row = links.origin + links.reply
    draws, spans = words[1][row], words[2][row]
    shape = (protocol << SHAPE_BITS) + _bits(draws, 0, SHAPE_BITS)
    duration_bin, packets_bin, bytes_bin = shapes()
    duration = durations()[duration_bin[shape] + _bits(draws, 16, RANGE_BITS)]
    packets = _within(ranges(profile_volumes.PACKETS), packets_bin[shape] + _bits(draws, 26, RANGE_BITS), spans)
    # Ten other bits: packets and bytes within their bins are independent.
    size_draw = bytes_bin[shape] + _bits(words[3][row], 40, RANGE_BITS)
    size = _within(ranges(profile_volumes.BYTES), size_draw, spans >> np.uint64(32))
    packets = np.minimum(packets, _MAX_PACKETS[protocol])
    size = np.clip(size, profile_volumes.MIN_PACKET_BYTES * packets, _MAX_BYTES[protocol])
    return duration, packets, size


def _within(table: Ranges, index: Ints, draws: Words) -> Ints:
    low = draws & np.uint64(0xFFFFFFFF)
    return (table.low[index] + ((low * table.span[index]) >> np.uint64(32))).astype(np.int64)


def _permille(words: Words, shift: int, share: int) -> Flags:
    return _bits(words, shift, _PERMILLE_BITS) < (share << _PERMILLE_BITS) // 1000


def _bits(words: Words, shift: int, width: int) -> Ints:
    return ((words >> np.uint64(shift)) & np.uint64((1 << width) - 1)).astype(np.int64)
