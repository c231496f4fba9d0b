"""What every shipped report must answer, computed by DuckDB or Python from the raw rows, without the report's SQL."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import duckdb

from flows_platform.reports.values import Value
from flows_platform.sources.lanl_flows.schema import FLOWS
from tests.reports.shipped_tables import DAYS, FIRST_CVE

type Given = dict[str, str]
type Rows = list[tuple[Any, ...]]
type Answers = Callable[[duckdb.DuckDBPyConnection, Mapping[str, Value]], Rows]

ENDS = (
    "SELECT src_comp AS computer, instant, byte_count, packet_count FROM flows UNION ALL "
    "SELECT dst_comp, instant, byte_count, packet_count FROM flows WHERE src_comp <> dst_comp"
)
SEVERITIES = ((9, "critical"), (7, "high"), (4, "medium"), (0.01, "low"), (0, "none"))


def naive(value: Any) -> Any:
    """The instant as DuckDB's TIMESTAMP, in UTC."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value


def found(raw: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Value], *names: str) -> Rows:
    return raw.execute(sql, [naive(values[name]) for name in names]).fetchall()


def busiest(raw: duckdb.DuckDBPyConnection, values: Mapping[str, Value]) -> Rows:
    order = {"bytes": 2, "packets": 3, "flows": 4}[str(values["by"])]
    sql = (
        f"SELECT computer, sum(byte_count), sum(packet_count), count(*) FROM ({ENDS}) "
        "WHERE date_trunc('hour', instant) >= ? AND date_trunc('hour', instant) < ? "
        f"GROUP BY 1 ORDER BY {order} DESC, 1 LIMIT ?"
    )
    return found(raw, sql, values, "start", "end", "top")


def truncated(at: datetime, per: str) -> datetime:
    whole = at.replace(minute=0, second=0, microsecond=0)
    return whole if per == "hour" else whole.replace(hour=0) if per == "day" else whole.replace(hour=0, day=1)


def slices(start: datetime, end: datetime, per: str) -> Iterator[datetime]:
    slot = truncated(start, per)
    while slot < end:
        yield slot
        step = {"hour": timedelta(hours=1), "day": timedelta(days=1), "month": timedelta(days=32)}[per]
        slot = truncated(slot + step, per)


def computer_traffic(raw: duckdb.DuckDBPyConnection, values: Mapping[str, Value]) -> Rows:
    start, end, per = naive(values["start"]), naive(values["end"]), str(values["per"])
    sums: dict[datetime, int] = defaultdict(int)
    for at, count in raw.execute(
        f"SELECT instant, byte_count FROM ({ENDS}) WHERE computer = ?", [values["computer"]]
    ).fetchall():
        if start <= truncated(at, "hour") < end:
            sums[truncated(at, per)] += count
    return [(slot.replace(tzinfo=UTC), sums[slot]) for slot in slices(start, end, per)]


def top_pairs(raw: duckdb.DuckDBPyConnection, values: Mapping[str, Value]) -> Rows:
    sql = (
        "SELECT src_comp, dst_comp, sum(byte_count), sum(packet_count), count(*) FROM flows "
        "WHERE instant >= ? AND instant < ? GROUP BY ALL ORDER BY 3 DESC, 1, 2 LIMIT ?"
    )
    return found(raw, sql, values, "start", "end", "top")


def protocols(raw: duckdb.DuckDBPyConnection, values: Mapping[str, Value]) -> Rows:
    sql = (
        "SELECT CAST(instant AS DATE), protocol, count(*), sum(packet_count), sum(byte_count) FROM flows "
        "WHERE instant >= ? AND instant < ? GROUP BY ALL ORDER BY 1, 2"
    )
    return found(raw, sql, values, "start", "end")


def top10(raw: duckdb.DuckDBPyConnection, values: Mapping[str, Value]) -> Rows:
    sql = (
        "SELECT o_custkey, sum(o_totalprice) FROM orders WHERE o_orderdate BETWEEN ? AND ? "
        "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10"
    )
    return found(raw, sql, values, "start_range", "end_range")


def clerk(raw: duckdb.DuckDBPyConnection, values: Mapping[str, Value]) -> Rows:
    sql = (
        "SELECT o_clerk, month(o_orderdate), sum(o_totalprice) FROM orders "
        "WHERE o_clerk = 'Clerk#' || ? AND year(o_orderdate) = ? GROUP BY 1, 2 ORDER BY 2"
    )
    return found(raw, sql, values, "clerk", "year")


def last_cves(raw: duckdb.DuckDBPyConnection, values: Mapping[str, Value]) -> list[dict[str, Any]]:
    """The last row of every CVE that was published in the range."""
    newest: dict[str, dict[str, Any]] = {}
    for row in raw.execute("SELECT * FROM cves ORDER BY last_modified").to_arrow_table().to_pylist():
        newest[row["cve_id"]] = row
    start, end = naive(values["start"]), naive(values["end"])
    return [row for row in newest.values() if start <= row["published"] < end]


def severity(score: float | None) -> str:
    return "not scored" if score is None else next(name for least, name in SEVERITIES if score >= least)


def by_severity(raw: duckdb.DuckDBPyConnection, values: Mapping[str, Value]) -> Rows:
    counts: dict[str, int] = defaultdict(int)
    for row in last_cves(raw, values):
        counts[severity(row["cvss_score"])] += 1
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def worst(raw: duckdb.DuckDBPyConnection, values: Mapping[str, Value]) -> Rows:
    scored = [row for row in last_cves(raw, values) if row["cvss_score"] is not None]
    scored.sort(key=lambda row: (-row["cvss_score"], -row["published"].timestamp(), row["cve_id"]))
    names = ("cve_id", "cvss_score", "published", "last_modified", "status", "source")
    return [
        tuple(value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for value in map(row.get, names))
        for row in scored[: int(str(values["top"]))]
    ]


def by_month(raw: duckdb.DuckDBPyConnection, values: Mapping[str, Value]) -> Rows:
    counts: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for row in last_cves(raw, values):
        held = counts[row["published"].date().replace(day=1)]
        held[0] += 1
        held[1] += (row["cvss_score"] or 0) >= 9
    return [(month, *held) for month, held in sorted(counts.items())]


def span(random: Random, first: datetime, days: float) -> Given:
    """Two times of a range, to the second; now and then the same."""
    seconds = sorted(random.randrange(int(days * 86_400)) for _ in range(2))
    start, end = (first + timedelta(seconds=second) for second in seconds)
    return {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{end:%Y-%m-%d %H:%M:%S}"}


def flow_span(random: Random) -> Given:
    return span(random, FLOWS.epoch - timedelta(hours=6), DAYS + 0.5)


def cve_span(random: Random) -> Given:
    return span(random, FIRST_CVE - timedelta(days=30), 3.2 * 365)


def top(random: Random) -> Given:
    return {"top": str(random.choice((1, 7, 10, 1000)))}


def day(random: Random) -> str:
    return f"{datetime(1991, 12, 1, tzinfo=UTC) + timedelta(days=random.randrange(2_500)):%Y-%m-%d}"


def clerk_id(random: Random) -> str:
    """The id of a clerk that exists, or one that does not."""
    return random.choice((f"{random.randrange(1, 1100):09}", str(random.randrange(100))))


# Of every report: what it answers, and values that a request may give.
ORACLES: Mapping[str, tuple[Answers, Callable[[Random], Given]]] = {
    "busiest_computers": (
        busiest,
        lambda random: flow_span(random) | top(random) | {"by": random.choice(("bytes", "packets", "flows"))},
    ),
    "computer_traffic": (
        computer_traffic,
        lambda random: (
            flow_span(random) | {"computer": f"C{random.randrange(60)}", "per": random.choice(("hour", "day", "month"))}
        ),
    ),
    "top_pairs": (top_pairs, lambda random: flow_span(random) | top(random)),
    "protocols_by_day": (protocols, flow_span),
    "cves_by_severity": (by_severity, cve_span),
    "worst_cves": (worst, lambda random: cve_span(random) | top(random)),
    "cves_by_month": (by_month, cve_span),
    "top10_customers": (top10, lambda random: {"start_range": day(random), "end_range": day(random)}),
    "clerk_yearly_sales": (
        clerk,
        lambda random: {"clerk": clerk_id(random), "year": str(random.randrange(1991, 2000))},
    ),
}
