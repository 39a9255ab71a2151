"""``forbear log … --bundle``: decisions with their evidence, their proofs and a report, as one zip."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from forbear.scripts import show
from forbear.scripts.filters import chosen
from forbear.storage.database import open_database, reading, translated
from forbear.storage.db.records import now


def write_bundle(
    path: Path, key: str | None, db: str, evidence: str | None, conditions: Mapping[str, Any], *, redacted: bool
) -> None:
    """Writes the bundle of these decisions to a file, whole or not at all. Raises UsageError, StorageError, OSError."""
    from forbear.reports.case import render  # noqa: PLC0415 no other form waits for it
    from forbear.scripts.key import key_of  # noqa: PLC0415
    from forbear.storage.reads import bundle  # noqa: PLC0415

    if not key:
        raise click.UsageError("Name the key that signs the checkpoints: --key NAME+ID+BASE64, or the file of the key.")
    asked = [(name.replace("_", " "), _told(value)) for name, value in conditions.items() if value not in (None, True)]
    request = bundle.Request(chosen(conditions), asked, key_of(key), now(), redacted)
    new = path.with_name(f".{path.name}.new")
    engine = open_database(db, create=False, evidence=evidence)
    try:
        with new.open("wb") as out, translated(engine.url), reading(engine) as connection:
            case = bundle.write(connection, out, request, render)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
        engine.dispose()
    show.line(
        f"{path}: {case.total:,} decisions, {case.captures_total:,} captures, {case.checkpoint['rows']:,} proofs."
    )
    show.line(f"Read index.html or report.pdf in it; check it with: python verify.py --key {case.checkpoint['key']}")


def _told(value: Any) -> str:
    return show.moment(value) if isinstance(value, datetime) else "without" if value is False else str(value)
