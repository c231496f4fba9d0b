"""The profile's distributions as lookup tables: 2^k entries, equally likely, so that k random bits draw a value.

They are computed with integers and correctly rounded operations only, so they are the same on every machine. Names are
indices into tables sorted by bytes: an index is also the name's rank in the file's order.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from flows_platform.sources.lanl_flows.sample import profile, profile_volumes

type Ints = npt.NDArray[np.int64]

PAIR_BITS = 20  # the rarest of 78,884 pairs still has three entries
KIND_BITS = 18  # protocol 41 is one row in 257,000
SHAPE_BITS = 16
RANGE_BITS = 10
PROTOCOLS = (6, 17, 1, 41)


def lookup(weights: Iterable[int], bits: int) -> Ints:
    """2^bits entries: the indices of `weights`, in proportion to their weights."""
    total = np.cumsum(np.fromiter(weights, np.int64))
    return np.repeat(np.arange(len(total)), np.diff((total << bits) // total[-1], prepend=0))


def _spread(count: int, highest: int, prefix: str, required: Iterable[str]) -> list[str]:
    """`count` names up to `highest`, the required ones among them, in the order of bytes."""
    names = dict.fromkeys(required)
    names.update(dict.fromkeys(f"{prefix}{20 + step * (highest - 20) // count}" for step in range(count)))
    return sorted(list(names)[:count])


COMPUTERS = _spread(
    profile.COMPUTERS,
    profile.HIGHEST_COMPUTER,
    "C",
    [*profile.SERVERS, *(name for client, server, _ in profile.PAIRS for name in (client, server))],
)
EPHEMERAL = _spread(profile.EPHEMERAL_PORTS, profile.HIGHEST_EPHEMERAL, "N", [])
_NUMBERED = sorted({str(abs(port)) for ports in profile.SERVICES.values() for port in ports if port not in (0, -1)})
PORTS = sorted([*_NUMBERED, *profile.NAMED_SERVICES, *EPHEMERAL])
PORT_RANK = {name: rank for rank, name in enumerate(PORTS)}


@dataclass(frozen=True, slots=True)
class Kinds:
    """Protocol (index into PROTOCOLS), server port (rank, or -1: ephemeral) and whether both ends have that port."""

    drawn: Ints
    protocol: Ints
    port: Ints
    both: npt.NDArray[np.bool_]


@cache
def kinds() -> Kinds:
    """The table of protocol and service."""
    rows: list[tuple[int, int, bool, int]] = []
    named = sum(profile.NAMED_SERVICES.values())
    for protocol, services in profile.SERVICES.items():
        for port, weight in services.items():
            index = PROTOCOLS.index(protocol)
            if port in (0, -1):
                to_named = weight * profile.SERVICE_PORT_PERCENT if port == 0 else 0
                rows.append((index, -1, port == -1, weight * 100 - to_named))
                shares = profile.NAMED_SERVICES.items() if to_named else ()
                rows.extend((index, PORT_RANK[name], False, to_named * share // named) for name, share in shares)
            else:
                rows.append((index, PORT_RANK[str(abs(port))], port < 0, weight * 100))
    protocols, ports, both, weights = (np.array(column) for column in zip(*rows, strict=True))
    return Kinds(lookup(weights, KIND_BITS), protocols, ports, both)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Client and server (ranks) of the pairs of computers that talk."""

    drawn: Ints
    client: Ints
    server: Ints


@cache
def pairs() -> Pairs:
    """The table of pairs: the measured ones, then a Zipf tail with s = 3/4, whose computers are drawn once, here."""
    rank = {name: index for index, name in enumerate(COMPUTERS)}
    known = [(rank[client], rank[server], weight) for client, server, weight in profile.PAIRS]
    tail = profile.PAIR_COUNT - len(known)
    bits = np.random.PCG64(0).random_raw(2 * tail).astype(np.uint64)
    servers = np.array([rank[name] for name in profile.SERVERS])[lookup(profile.SERVERS.values(), 16)]
    famous = (bits[:tail] >> np.uint64(32)) % np.uint64(100) < profile.SERVER_SHARE
    computers = _zipf_computers()
    server = np.where(famous, servers[bits[:tail] & np.uint64(0xFFFF)], computers[bits[:tail] & np.uint64(0xFFFFF)])
    client = computers[bits[tail:] & np.uint64(0xFFFFF)]
    client[-len(COMPUTERS) :] = np.arange(len(COMPUTERS))  # every computer is in some pair
    client = np.where(client == server, (client + 1) % len(COMPUTERS), client)
    root = np.sqrt(np.arange(20, tail + 20))  # square roots are correctly rounded everywhere; powers are not
    weights = (1e9 / (root * np.sqrt(root))).astype(np.int64)
    share = profile.PAIRS_SHARE * int(weights.sum()) // (100 - profile.PAIRS_SHARE)
    known_total = sum(weight for _, _, weight in known)
    all_weights = [*(weight * share // known_total for _, _, weight in known), *weights.tolist()]
    first = np.array([(client, server) for client, server, _ in known]).T
    drawn = lookup(all_weights, PAIR_BITS)
    return Pairs(drawn, np.concatenate([first[0], client]), np.concatenate([first[1], server]))


def _zipf_computers() -> Ints:
    """All computers by a Zipf law with s = 7/8, in an order that is independent of their names."""
    ranks = np.arange(1, len(COMPUTERS) + 1)
    root = np.sqrt(ranks)
    weights = 1e9 / (root * np.sqrt(root) * np.sqrt(np.sqrt(root)))
    order = np.argsort(np.random.PCG64(1).random_raw(len(COMPUTERS)), kind="stable")
    return order[lookup(weights.astype(np.int64).tolist(), 20)]


@dataclass(frozen=True, slots=True)
class Ranges:
    """2^10 ranges `low .. low + span - 1` per bin; the index is bin << 10 | draw."""

    low: npt.NDArray[np.uint64]
    span: npt.NDArray[np.uint64]


@cache
def ranges(table: str) -> Ranges:
    """The ranges of a table such as `profile_volumes.BYTES`."""
    bins: dict[int, list[tuple[int, int, int]]] = {}
    for entry in table.split():
        number, values, weight = entry.split(":")
        low, _, high = values.partition("-")
        bins.setdefault(int(number), []).append((int(low), int(high or low) - int(low) + 1, int(weight)))
    lows, spans = [], []
    for _, rows in sorted(bins.items()):
        low_values, span_values, weights = (np.array(column) for column in zip(*rows, strict=True))
        drawn = lookup(weights, RANGE_BITS)
        lows.append(low_values[drawn])
        spans.append(span_values[drawn])
    return Ranges(np.concatenate(lows).astype(np.uint64), np.concatenate(spans).astype(np.uint64))


@cache
def durations() -> Ints:
    """Durations; the index is bin << 10 | draw."""
    pieces = [entry.split(":") for entry in profile_volumes.DURATIONS.split()]
    edges = [*profile_volumes.DURATION_BINS, 77]
    tables = []
    for first, end in pairwise(edges):
        inside = [(int(value), int(weight)) for value, weight in pieces if first <= int(value) < end]
        values = np.array([value for value, _ in inside])
        tables.append(values[lookup([weight for _, weight in inside], RANGE_BITS)])
    return np.concatenate(tables)


@cache
def shapes() -> tuple[Ints, Ints, Ints]:
    """Duration, packet and byte bins, shifted to index their tables; the index is protocol << 16 | draw."""
    columns: list[Ints] = []
    for protocol in PROTOCOLS:
        cells = [entry.split(":") for entry in profile_volumes.JOINT[protocol].split()]
        bins = np.array([[int(number) for number in cell.split(".")] for cell, _ in cells])
        columns.append(bins[lookup([int(weight) for _, weight in cells], SHAPE_BITS)] << RANGE_BITS)
    joined = np.concatenate(columns)
    return joined[:, 0].copy(), joined[:, 1].copy(), joined[:, 2].copy()
