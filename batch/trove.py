"""A datatrove step that drops reserved documents and records why, for local, Slurm and Ray executors."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers import ParquetWriter

from forbear.batch.rules import Snapshot
from forbear.batch.table import UNUSABLE
from forbear.optout.case import reason_to_json
from forbear.optout.model import Profile, Use, Verdict
from forbear.optout.readers.url import NotAUrl

if TYPE_CHECKING:
    from datetime import datetime

    from datatrove.data import Document
    from datatrove.pipeline.writers.disk_base import DiskWriter

REASONS = pa.schema([(name, pa.string()) for name in ("id", "url", "verdict", "reasons")])
"""The columns of the file of reasons; ``reasons`` is a JSON list, as in a decision of ``forbear decide``."""


class RightsFilter(BaseFilter):  # type: ignore[misc] # datatrove has no types
    """Keeps the documents that a snapshot of host rules allows.

    ``snapshot`` is the path, on every worker, of a file written by ``forbear export hosts``. A task opens it at its
    first document; that is also the time of its decisions, unless ``at`` is given. ``url_key`` is the key of the URL in
    a document's metadata. With ``markup``, a document's text is the HTML page from that URL, and reservations in it
    count too.

    Dropped documents go without their text to ``reasons``, a folder (in any form that datatrove accepts) with a Parquet
    file for each task, or completely to an ``exclusion_writer``; their metadata then has ``verdict`` and ``reasons``.
    The stats count ``verdict_…`` and ``protocol_…``; a document with two reasons counts under both protocols.
    """

    name = "⚖ Rights reservations"
    _requires_dependencies = ("pyarrow",)

    def __init__(
        self,
        snapshot: str,
        *,
        reasons: Any = None,
        exclusion_writer: DiskWriter | None = None,
        url_key: str = "url",
        markup: bool = False,
        agent: str = "ForbearBot",
        use: Use | str = Use.TRAIN_AI,
        profile: Profile | str = Profile.STANDARD,
        at: datetime | None = None,
    ) -> None:
        """Raises ValueError for an unknown use or profile, or if reasons and exclusion_writer are both given."""
        if reasons is not None and exclusion_writer is not None:
            raise ValueError("Give reasons or an exclusion_writer, not both: each is where dropped documents go")
        if reasons is not None:
            row = partial(_row, url_key=url_key)
            exclusion_writer = ParquetWriter(reasons, adapter=row, schema=REASONS, compression="zstd")
        super().__init__(exclusion_writer)
        self.snapshot, self.url_key, self.markup = str(snapshot), url_key, markup
        self.about: dict[str, Any] = {"agent": agent, "use": str(Use(use)), "profile": str(Profile(profile)), "at": at}
        self._open: Snapshot | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Returns what is sent to another process: everything but the open file."""
        return self.__dict__ | {"_open": None}

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        """Yields the documents that may be kept."""
        try:
            yield from super().run(data, rank, world_size)
        finally:
            if self._open:
                self._open.close()
                self._open = None

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Returns whether a document may be kept, or the verdict. Raises BadSnapshot and OSError, failing the task."""
        verdict, reasons = self._decide(doc)
        self.stat_update(f"verdict_{verdict}", *(f"protocol_{name}" for name in {each["protocol"] for each in reasons}))
        if verdict == Verdict.ALLOWED:
            return True
        doc.metadata |= {"verdict": verdict, "reasons": json.dumps(reasons, ensure_ascii=False)}
        return False, verdict

    def _decide(self, doc: Document) -> tuple[str, list[dict[str, str]]]:
        if self._open is None:
            self._open = Snapshot(self.snapshot, **self.about)
        try:
            url = str(doc.metadata.get(self.url_key) or "")
            decision = self._open.decide_page(url, doc.text) if self.markup else self._open.decide(url)
        except NotAUrl:
            return UNUSABLE, []
        return str(decision.verdict), [reason_to_json(reason) for reason in decision.reasons]


def _row(_writer: DiskWriter, doc: Document, url_key: str) -> dict[str, Any]:
    """Returns a row of REASONS."""
    url = doc.metadata.get(url_key)
    known = {name: doc.metadata[name] for name in ("verdict", "reasons")}
    return {"id": doc.id, "url": url if isinstance(url, str) else None, **known}
