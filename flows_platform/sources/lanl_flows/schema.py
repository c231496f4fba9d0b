"""The columns of LANL's `flows.txt` and of the tables made from it. Light: the API server imports this module."""

from datetime import UTC, datetime

from flows_platform.domain.schema import Column, ColumnType, TableSchema, WarehouseTable

INT64 = ColumnType.INT64
STRING = ColumnType.STRING

# The nine fields of a raw line, in the file's order; `id` is the row number that cleaning puts before them.
FLOWS = TableSchema(
    name="flows",
    description="One-way network flows between computers, one row per flow, as LANL's routers exported them.",
    columns=(
        Column("id", INT64, "Row number among the kept rows of the raw file, from 1."),
        Column("time", INT64, "Start of the flow, whole seconds since the data set's epoch (1 is its first second)."),
        Column("duration", INT64, "Length of the flow in seconds."),
        Column("src_comp", STRING, "Source computer, anonymised (C1065)."),
        Column("src_port", STRING, "Source port: a well-known number, or an anonymised one (N1136)."),
        Column("dst_comp", STRING, "Destination computer, anonymised."),
        Column("dst_port", STRING, "Destination port, as src_port."),
        Column("protocol", INT64, "IP protocol number: 6 TCP, 17 UDP, 1 ICMP, 41 IPv6."),
        Column("packet_count", INT64, "Packets in the flow."),
        Column("byte_count", INT64, "Bytes in the flow; real values exceed 2^31 (2,681,847,376)."),
    ),
    key="id",
    time="time",
    epoch=datetime(2014, 1, 1, tzinfo=UTC),
)

RAW_FIELDS = FLOWS.names[1:]

EVENT_TIME = Column(
    "event_time", ColumnType.TIMESTAMP, "Epoch + time: when the flow started, UTC; partitions the table."
)

TRAFFIC = TableSchema(
    name="flow_traffic_hourly",
    description="Traffic by computer and hour. A flow counts for both its ends, and once if they are the same.",
    columns=(
        Column("hour", ColumnType.TIMESTAMP, "Start of the hour, UTC."),
        Column("computer", STRING, "Source or destination of the flows."),
        Column("flows", INT64, "Flows that started in the hour."),
        Column("packets", INT64, "Packets of these flows; NULL if the sum exceeds 64 bits.", nullable=True),
        Column("bytes", INT64, "Bytes of these flows; NULL if the sum exceeds 64 bits.", nullable=True),
        Column("peers", INT64, "Distinct computers at the other end."),
    ),
    key="computer",
    time="hour",
)
TRAFFIC_TABLE = WarehouseTable(schema=TRAFFIC, clustering=("computer",))

FLOWS_TABLE = WarehouseTable(
    schema=FLOWS, clustering=("src_comp", "dst_comp"), event_time=EVENT_TIME, computed=(TRAFFIC_TABLE,)
)
