"""Traffic by hour and computer, computed from the flows in the warehouse: what dashboards read."""

from flows_platform.domain.schema import Column, ColumnType, TableSchema, WarehouseTable
from flows_platform.sources.lanl_flows.schema import EVENT_TIME, FLOWS
from flows_platform.stores.bigquery_derived import DerivedTable

TRAFFIC = TableSchema(
    name="flow_traffic_hourly",
    description="Traffic of each computer in each hour. A flow counts for both its ends, once where they are the same.",
    columns=(
        Column("hour", ColumnType.TIMESTAMP, "Start of the hour, UTC."),
        Column("computer", ColumnType.STRING, "Source or destination of the flows."),
        Column("flows", ColumnType.INT64, "Flows that started in the hour."),
        Column("packets", ColumnType.INT64, "Packets of these flows."),
        Column("bytes", ColumnType.INT64, "Bytes of these flows."),
        Column("peers", ColumnType.INT64, "Distinct computers at the other end."),
    ),
    key="computer",
    time="hour",
)
TRAFFIC_TABLE = WarehouseTable(schema=TRAFFIC, clustering=("computer",))

_ENDS = f"""
SELECT `{EVENT_TIME.name}` AS at, src_comp AS computer, dst_comp AS peer, packet_count, byte_count
FROM `{FLOWS.name}` WHERE `{EVENT_TIME.name}` >= @start AND `{EVENT_TIME.name}` < @end
UNION ALL
SELECT `{EVENT_TIME.name}`, dst_comp, src_comp, packet_count, byte_count
FROM `{FLOWS.name}` WHERE `{EVENT_TIME.name}` >= @start AND `{EVENT_TIME.name}` < @end AND src_comp <> dst_comp
"""

HOURLY_TRAFFIC = DerivedTable(
    TRAFFIC_TABLE,
    f"""
SELECT TIMESTAMP_TRUNC(at, HOUR) AS `hour`, computer, COUNT(*) AS `flows`, SUM(packet_count) AS `packets`,
  SUM(byte_count) AS `bytes`, COUNT(DISTINCT peer) AS `peers`
FROM ({_ENDS}) GROUP BY 1, 2
""",
)
