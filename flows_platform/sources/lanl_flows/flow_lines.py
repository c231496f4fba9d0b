"""Flows as lines of text, in the file's order: by second, then the rest of the line as a string."""

from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flows_platform.sources.lanl_flows.sample.exchanges import Flows
from flows_platform.sources.lanl_flows.sample.lookup_tables import COMPUTERS, PORTS, PROTOCOLS

type Ints = npt.NDArray[np.int64]

_DURATIONS = [str(value) for value in range(77)]
_DURATION_RANKS = np.argsort(np.argsort(np.array(_DURATIONS)))
_PROTOCOL_RANKS = np.argsort(np.argsort(np.array([str(protocol) for protocol in PROTOCOLS])))


def file_order(flows: Flows) -> Ints:
    """The permutation that puts the rows in the file's order.

    A comma sorts before every digit and letter, so lines can be sorted field by field. The first four fields fit a
    64-bit key, and only rows with equal keys are compared further.
    """
    key = flows.second - flows.second[0]
    for values, bits in ((_DURATION_RANKS[flows.duration], 7), (flows.source, 14), (flows.source_port, 15)):
        key = (key << bits) | values
    order = np.argsort(key, kind="stable")
    key = key[order]
    same = key[1:] == key[:-1]
    tied = np.flatnonzero(np.concatenate([same, [False]]) | np.concatenate([[False], same]))
    rows = order[tied]
    rest = (flows.target << 17) | (flows.target_port << 2) | _PROTOCOL_RANKS[flows.protocol]
    order[tied] = rows[
        np.lexsort((_digits_key(flows.bytes[rows], 10), _digits_key(flows.packets[rows], 7), rest[rows], key[tied]))
    ]
    return order


def _digits_key(values: Ints, digits: int) -> Ints:
    """Numbers that sort as the decimal texts of `values`: their digits left-aligned, then their length."""
    length = np.ones(len(values), np.int64)
    for power in range(1, digits):
        length += values >= 10**power
    return values * 10 ** (digits - length) * 16 + length


def to_lines(flows: Flows, order: Ints) -> pa.Buffer:
    """The rows in that order as the file's lines."""
    first = int(flows.second[0])
    seconds = _integers(np.arange(first, flows.second[-1] + 1)).cast(pa.string())
    durations, computers, ports, protocols = _tables()
    columns = [
        _named(seconds, flows.second - first, order),
        _named(durations, flows.duration, order),
        _named(computers, flows.source, order),
        _named(ports, flows.source_port, order),
        _named(computers, flows.target, order),
        _named(ports, flows.target_port, order),
        _named(protocols, flows.protocol, order),
        _integers(flows.packets[order]).cast(pa.string()),
        pc.binary_join_element_wise(_integers(flows.bytes[order]).cast(pa.string()), "\n", ""),
    ]
    lines = pc.binary_join_element_wise(*columns, ",")
    used = lines.buffers()
    return used[2].slice(0, int(np.frombuffer(used[1], np.int32)[len(lines)]))


@cache
def _tables() -> tuple[pa.Array, pa.Array, pa.Array, pa.Array]:
    """The names of durations, computers, ports and protocols, by rank."""
    protocols = [str(protocol) for protocol in PROTOCOLS]
    return pa.array(_DURATIONS), pa.array(COMPUTERS), pa.array(PORTS), pa.array(protocols)


def _named(names: pa.Array, ranks: Ints, order: Ints) -> pa.Array:
    return names.take(_integers(ranks[order]))


def _integers(values: Ints) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])
