"""A bulk insert without index, checks or rejects: adbc_insert.py CLEAN DATABASE TABLE-SQL."""

import sys

import pyarrow.csv as pc
from adbc_driver_sqlite import dbapi

from flows_platform.columns.batches import arrow_schema
from flows_platform.sources.lanl_flows.schema import FLOWS

clean, database, table = sys.argv[1:]
reader = pc.open_csv(
    clean,
    pc.ReadOptions(column_names=FLOWS.names, block_size=1 << 20),
    pc.ParseOptions(quote_char=False),
    pc.ConvertOptions(column_types=arrow_schema(FLOWS)),
)
with dbapi.connect(database, autocommit=True) as connection, connection.cursor() as cursor:
    for pragma in ("page_size = 32768", "journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.execute(table)
    cursor.execute("BEGIN")
    for batch in reader:
        cursor.adbc_ingest("flows", batch, mode="append")
    cursor.execute("COMMIT")
