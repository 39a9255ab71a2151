"""A datatrove step (0.10) that drops what is reserved and keeps the reasons: local, Slurm and Ray executors run it."""

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
"""The file of reasons: ``reasons`` is a JSON list, as in a decision of ``forbear decide``."""


class RightsFilter(BaseFilter):  # type: ignore[misc] # datatrove has no types
    """Keeps the documents that a snapshot of host rules allows.

    ``snapshot`` is the path of a file that ``forbear export hosts`` wrote, as every worker sees it; it is opened when
    a task meets its first document, which is also the time that the task's decisions are about, unless ``at`` is
    given. ``url_key`` is where a document's metadata has its URL. With ``markup`` a document's text is the HTML page
    as it came from that URL, and what it says itself counts too.

    What is dropped goes without its text into ``reasons``, a folder (or what datatrove takes for one) with a Parquet
    file for each task; or whole into an ``exclusion_writer``. Its metadata has ``verdict`` and ``reasons`` then.
    The stats count ``verdict_…`` and ``protocol_…``, a document with two reasons under both protocols.
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
        """Raises ValueError for a use or profile that is none, and if both places for what is dropped are given."""
        if reasons is not None and exclusion_writer is not None:
            raise ValueError("Give reasons or an exclusion_writer: both would be the place for what is dropped")
        if reasons is not None:
            row = partial(_row, url_key=url_key)
            exclusion_writer = ParquetWriter(reasons, adapter=row, schema=REASONS, compression="zstd")
        super().__init__(exclusion_writer)
        self.snapshot, self.url_key, self.markup = str(snapshot), url_key, markup
        self.asked: dict[str, Any] = {"agent": agent, "use": str(Use(use)), "profile": str(Profile(profile)), "at": at}
        self._open: Snapshot | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: all but the open file."""
        return self.__dict__ | {"_open": None}

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        """What of the documents may be kept."""
        try:
            yield from super().run(data, rank, world_size)
        finally:
            if self._open:
                self._open.close()
                self._open = None

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Whether a document may be kept, and the verdict if not. Raises BadSnapshot and OSError: the task fails."""
        verdict, reasons = self._decided(doc)
        self.stat_update(f"verdict_{verdict}", *(f"protocol_{name}" for name in {each["protocol"] for each in reasons}))
        if verdict == Verdict.ALLOWED:
            return True
        doc.metadata |= {"verdict": verdict, "reasons": json.dumps(reasons, ensure_ascii=False)}
        return False, verdict

    def _decided(self, doc: Document) -> tuple[str, list[dict[str, str]]]:
        if self._open is None:
            self._open = Snapshot(self.snapshot, **self.asked)
        try:
            url = str(doc.metadata.get(self.url_key) or "")
            decision = self._open.decide_page(url, doc.text) if self.markup else self._open.decide(url)
        except NotAUrl:
            return UNUSABLE, []
        return str(decision.verdict), [reason_to_json(reason) for reason in decision.reasons]


def _row(_writer: DiskWriter, doc: Document, url_key: str) -> dict[str, Any]:
    """A row of REASONS."""
    url = doc.metadata.get(url_key)
    said = {name: doc.metadata[name] for name in ("verdict", "reasons")}
    return {"id": doc.id, "url": url if isinstance(url, str) else None, **said}
