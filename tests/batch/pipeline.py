"""A datatrove pipeline as people run it.

It reads Parquet from the folder ``in``, and writes the folders ``kept`` and ``reasons``, in six tasks. One that stops
comes to a halt in the middle of the third, says so with the file ``halted``, and waits to be killed.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter

from forbear.batch.trove import RightsFilter
from tests.batch.hosts import AT

TASKS = 6


def main(folder: Path, *, stops: bool) -> None:
    """Runs it in a folder, which has the snapshot ``hosts.parquet`` too."""

    def halt(documents: Any, rank: int = 0, _world_size: int = 1) -> Any:
        for number, document in enumerate(documents):
            if stops and rank == 2 and number == 25:
                (folder / "halted").touch()
                time.sleep(600)
            yield document

    LocalPipelineExecutor(
        [
            ParquetReader(str(folder / "in")),
            RightsFilter(str(folder / "hosts.parquet"), reasons=str(folder / "reasons"), at=AT),
            halt,
            ParquetWriter(str(folder / "kept"), batch_size=10),
        ],
        tasks=TASKS,
        workers=1,
        logging_dir=str(folder / "logs"),
    ).run()
