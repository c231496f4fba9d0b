"""A `TableSchema` as an Arrow schema: what Parquet files hold and Arrow streams carry. No I/O."""

from functools import cache

import pyarrow as pa

from flows_platform.domain.schema import ColumnType, TableSchema
from flows_platform.runtime.startup import pandas_refused

with pandas_refused():  # Arrow looks for it once, at a process's first array, and again when asked for a data frame
    pa.array(())

ARROW_TYPES = {
    ColumnType.INT64: pa.int64(),
    ColumnType.STRING: pa.string(),
    ColumnType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    ColumnType.FLOAT64: pa.float64(),
    ColumnType.BOOL: pa.bool_(),
    ColumnType.JSON: pa.string(),
}


@cache
def arrow_schema(schema: TableSchema) -> pa.Schema:
    """The schema's columns in order; a column that must have a value is not nullable in Arrow either."""
    return pa.schema([pa.field(column.name, ARROW_TYPES[column.type], column.nullable) for column in schema.columns])
