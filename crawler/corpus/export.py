"""Exports a snapshot of what the log knows about hosts, with the policy and the lists in force."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from forbear.batch import snapshot
from forbear.batch.snapshot import About, SnapshotAnswer
from forbear.crawler.files import atomic_rename, part_path
from forbear.crawler.identity import read_infringing, read_list, read_policy, with_complaints
from forbear.optout import __version__
from forbear.storage.chain import chain
from forbear.storage.database import open_database, reading, translated
from forbear.storage.db.records import now
from forbear.storage.log import complaints, lists
from forbear.storage.proof import checkpoints
from forbear.storage.reads import snapshots

if TYPE_CHECKING:
    from pathlib import Path

    from forbear.optout.model import Capture
    from forbear.optout.policy import Policy
    from forbear.storage.database import Connection


def export_hosts(
    db: str,
    out: Path,
    *,
    policy: Path | None = None,
    operator_list: Path | None = None,
    infringing_list: Path | None = None,
    evidence: str | None = None,
) -> About:
    """Writes the snapshot, completely or not at all, replacing an older one.

    Raises BadConfig, StorageError and OSError.
    """
    rules = read_policy(policy, "--policy")
    own = read_list(operator_list, "--operator-list") if operator_list else None
    engine = open_database(db, create=False, evidence=evidence)
    part = part_path(out)
    try:
        with translated(engine.url), reading(engine) as connection:
            blocks = with_complaints(own, complaints.operator_lines(connection))
            infringing = read_infringing(infringing_list, "--infringing-list", lists.current(connection))
            about = _write(connection, part, rules, blocks, infringing)
        atomic_rename(part, out)
    finally:
        part.unlink(missing_ok=True)
        engine.dispose()
    return about


def _write(
    connection: Connection, part: Path, rules: Policy, blocks: Capture | None, infringing: Capture | None
) -> About:
    at = now()
    size = chain.size(connection)
    signed = checkpoints.latest(connection)
    about = About(
        format=snapshot.FORMAT,
        made_at=at.isoformat(),
        engine=__version__,
        policy=rules.digest,
        operator_list=_sha256(blocks),
        infringing_list=_sha256(infringing),
        log_size=size,
        log_root=chain.tree(connection, size).root().hex(),
        checkpoint=signed.note if signed else None,
    )
    own = [SnapshotAnswer(capture, at) for capture in (blocks, infringing) if capture]
    return snapshot.write(part, about, rules, own, map(SnapshotAnswer._make, snapshots.answers(connection)))


def _sha256(a_list: Capture | None) -> str | None:
    return hashlib.sha256(a_list.body).hexdigest() if a_list else None
