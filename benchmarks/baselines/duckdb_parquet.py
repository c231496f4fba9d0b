"""DuckDB reading a stream of records from its standard input, into Parquet: duckdb_parquet.py FORMAT OUT."""

import sys

import duckdb

COLUMNS = {
    "id": "BIGINT",
    "time": "BIGINT",
    "duration": "BIGINT",
    "src_comp": "VARCHAR",
    "src_port": "VARCHAR",
    "dst_comp": "VARCHAR",
    "dst_port": "VARCHAR",
    "protocol": "BIGINT",
    "packet_count": "BIGINT",
    "byte_count": "BIGINT",
}
RECORD = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
LARGEST = 1 << 30  # bytes: to DuckDB a whole JSON document is one object
FROM = {
    "csv": f"FROM read_csv('/dev/stdin', header=true, columns={COLUMNS})",
    "ndjson": f"FROM read_json('/dev/stdin', format='newline_delimited', columns={COLUMNS})",
    "json": "SELECT unnest(records, recursive := true) FROM read_json("
    f"'/dev/stdin', columns={{records: 'STRUCT({RECORD})[]'}}, maximum_object_size={LARGEST})",
}
wire, out = sys.argv[1:]
duckdb.sql(f"COPY ({FROM[wire]}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")
