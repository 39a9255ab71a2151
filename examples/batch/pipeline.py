"""Removes reserved pages from the pages that a crawl kept, with datatrove and a snapshot of hosts.

    forbear export hosts -o hosts.parquet
    python examples/batch/pipeline.py hosts.parquet corpus/pages filtered

To continue after a kill, run it again: finished tasks are skipped. On Slurm or Ray, use their executor.
"""

import sys
from pathlib import Path

import pyarrow.parquet as pq
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter

from forbear.batch.trove import RightsFilter


def page(_writer: ParquetWriter, document) -> dict:
    """Returns a page in the columns that it was read from."""
    return {**document.metadata, "text": document.text, "decision_id": document.id}


if __name__ == "__main__":
    hosts, pages, out = sys.argv[1:]
    # Without a schema, datatrove takes the types of the first page, whose language and title may be null.
    schema = pq.read_schema(next(Path(pages).glob("*.parquet")))
    LocalPipelineExecutor(
        [
            ParquetReader(pages, id_key="decision_id", glob_pattern="*.parquet"),
            RightsFilter(hosts, reasons=f"{out}/reasons"),
            ParquetWriter(f"{out}/kept", adapter=page, schema=schema),
        ],
        tasks=2,
        workers=1,
        logging_dir=f"{out}/logs",
    ).run()
