"""Traffic by hour and computer for dashboards, computed from the flows in the warehouse. SQL, no Dagster."""

from flows_platform.sources.lanl_flows.schema import EVENT_TIME, FLOWS, TRAFFIC, TRAFFIC_TABLE
from flows_platform.warehouse.replace_window import DerivedTable

_ENDS = f"""
SELECT `{EVENT_TIME.name}` AS `instant`, `src_comp` AS `computer`, `dst_comp` AS `peer`, `packet_count`, `byte_count`
FROM `{FLOWS.name}` WHERE `{EVENT_TIME.name}` >= @start AND `{EVENT_TIME.name}` < @end
UNION ALL
SELECT `{EVENT_TIME.name}`, `dst_comp`, `src_comp`, `packet_count`, `byte_count`
FROM `{FLOWS.name}` WHERE `{EVENT_TIME.name}` >= @start AND `{EVENT_TIME.name}` < @end AND `src_comp` <> `dst_comp`
"""


def _sum(column: str) -> str:
    """A sum, or NULL if it exceeds 64 bits: a SUM of INT64 would fail the whole window."""
    return f"SAFE_CAST(SUM(CAST(`{column}` AS NUMERIC)) AS INT64)"


HOURLY_TRAFFIC = DerivedTable(
    TRAFFIC_TABLE,
    f"""
SELECT TIMESTAMP_TRUNC(`instant`, HOUR) AS `hour`, `computer`, COUNT(*) AS `flows`, {_sum("packet_count")} AS `packets`,
  {_sum("byte_count")} AS `bytes`, COUNT(DISTINCT `peer`) AS `peers`
FROM ({_ENDS}) GROUP BY 1, 2
""",
)

_SUMS = {"flows": "1", "packets": "`packet_count`", "bytes": "`byte_count`"}
_BASE = ", ".join(
    f"SUM(IF(`src_comp` = `dst_comp`, 1, 2) * CAST({value} AS NUMERIC)) AS `{name}`" for name, value in _SUMS.items()
)
_HELD = ", ".join(f"SUM(CAST(`{name}` AS NUMERIC)) AS `{name}`" for name in _SUMS)
_OTHER = " OR ".join(f"IFNULL(`base`.`{name}`, 0) <> IFNULL(`held`.`{name}`, 0)" for name in _SUMS)

# The hours whose sums differ from those of the flows; a flow counts for both its ends.
DIFFERING_HOURS = f"""
SELECT IFNULL(`base`.`hour`, `held`.`hour`) AS `hour`
FROM (SELECT TIMESTAMP_TRUNC(`{EVENT_TIME.name}`, HOUR) AS `hour`, {_BASE} FROM `{FLOWS.name}` GROUP BY 1) AS `base`
FULL OUTER JOIN (SELECT `hour`, {_HELD} FROM `{TRAFFIC.name}` GROUP BY 1) AS `held` ON `base`.`hour` = `held`.`hour`
WHERE {_OTHER} ORDER BY 1
"""
