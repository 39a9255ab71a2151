"""``forbear log --bundle``: writes decisions with their evidence, proofs and a report to a zip file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from forbear.scripts import show
from forbear.scripts.database import open_engine
from forbear.scripts.filters import build_filter
from forbear.storage.database import reading
from forbear.storage.db.records import now


def write_bundle(
    path: Path, key: str | None, db: str, evidence: str | None, conditions: Mapping[str, Any], *, redacted: bool
) -> None:
    """Writes the bundle to a file, completely or not at all. Raises UsageError, StorageError, OSError."""
    from forbear.reports.case import render  # noqa: PLC0415 only a bundle needs it
    from forbear.scripts.key import key_of  # noqa: PLC0415 as above
    from forbear.storage.reads import bundle  # noqa: PLC0415

    if not key:
        raise click.UsageError(
            "--bundle needs the key that signed the checkpoints: --key NAME+ID+BASE64 or --key FILE."
        )
    asked = [(name.replace("_", " "), _text(value)) for name, value in conditions.items() if value not in (None, True)]
    request = bundle.BundleRequest(build_filter(conditions), asked, key_of(key), now(), redacted)
    new = path.with_name(f".{path.name}.new")
    try:
        with open_engine(db, evidence=evidence) as engine, new.open("wb") as out, reading(engine) as connection:
            case = bundle.write(connection, out, request, render)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    show.line(
        f"{path}: {show.count(case.total, 'decision')}, {show.count(case.captures_total, 'capture')}, "
        f"{show.count(case.checkpoint['rows'], 'proof')}."
    )
    show.line("Read index.html or report.pdf in it. To check it, unpack it and run in its folder:")
    show.line(f"  python verify.py --key {case.checkpoint['key']}")


def _text(value: Any) -> str:
    return show.time(value) if isinstance(value, datetime) else "without" if value is False else str(value)
