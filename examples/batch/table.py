"""Decides about a Parquet table of URLs with DuckDB and a snapshot of hosts, and writes the rows that may be used.

    forbear export hosts -o hosts.parquet
    python examples/batch/table.py hosts.parquet rows.parquet kept.parquet

All rows with their verdicts go to kept.parquet.decided first, so that they can be queried more than once.
"""

import sys

import duckdb
import pyarrow.parquet as pq

from forbear.batch.rules import Snapshot
from forbear.batch.table import decide_table

hosts, rows, kept = sys.argv[1:]
with Snapshot(hosts) as snapshot, pq.ParquetFile(rows) as file, duckdb.connect() as connection:
    connection.register("stream", decide_table(file.iter_batches(65_536), snapshot, column="url"))
    connection.table("stream").write_parquet(f"{kept}.decided")
    decided = connection.read_parquet(f"{kept}.decided")
    given = duckdb.StarExpression(exclude=["verdict", "protocol", "quote", "reason"])
    decided.filter("verdict = 'allowed'").select(given).write_parquet(kept)
    left = decided.filter("verdict <> 'allowed'").aggregate("verdict, protocol, quote, count(*) AS rows")
    print("Removed rows, and the words that decided:")
    for verdict, protocol, quote, count in left.order("verdict, protocol, quote").fetchall():
        print(f"{count:>9,}  {verdict}  {protocol or ''}  {quote or ''}".rstrip())
