"""``forbear checkpoint``: signs the log, and copies the checkpoint to places outside the database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from forbear.scripts import options, show
from forbear.scripts.database import open_engine
from forbear.scripts.exit_codes import FAILED
from forbear.scripts.key import load
from forbear.storage.chain import signed_note
from forbear.storage.chain.signed_note import SignerKey
from forbear.storage.database import StorageError
from forbear.storage.proof import checkpoints, witnesses
from forbear.storage.proof.checkpoints import SignedCheckpoint
from forbear.storage.proof.timestamps import BadTimestamp, ask
from forbear.storage.proof.witnesses import Unwitnessed


class Signing(NamedTuple):
    """How to make a checkpoint: the key, the timestamping authority, and the places to write it to."""

    key: SignerKey
    tsa: str | None
    places: Sequence[str]


class NewCheckpoint(NamedTuple):
    """A checkpoint that was made, and a sentence for each timestamp or copy of it that failed."""

    signed: SignedCheckpoint
    failures: list[str]


@click.command()
@options.option(
    "--key",
    required=True,
    type=options.existing_file,
    help="File of your key, made by `forbear key new`.",
)
@options.passphrase_file
@options.tsa
@options.witness
@options.db
@options.as_json
def command(
    key: Path, passphrase_file: Path | None, tsa: str | None, witness: tuple[str, ...], db: str, as_json: bool
) -> int | None:
    """Sign the current log (C2SP tlog-checkpoint), and store the checkpoint in it.

    With a copy of the checkpoint, anyone can check by `forbear verify --checkpoint` that nothing before it was changed.
    So write copies to places that the administrators of the database cannot change (--witness). If a copy fails, the
    checkpoint is still stored, and the exit code is 4. Every crawl with --key makes a checkpoint at its end.

    \b
    Example:
      forbear checkpoint --key forbear.key --witness git:/srv/checkpoints --witness https://witness.example/forbear/
    """
    checkpoint = make(db, Signing(load(key, passphrase_file), tsa, witness))
    if as_json:
        click.echo(json.dumps(as_object(checkpoint)))
    else:
        if not checkpoint.signed.new:
            show.line("Nothing was written since the last checkpoint:")
        click.echo(checkpoint.signed.note, nl=False)
    for failure in checkpoint.failures:
        click.echo(f"Error: {failure}", err=True)
    return FAILED if checkpoint.failures else None


def make(db: str, signing: Signing) -> NewCheckpoint:
    """Signs the log, has the checkpoint timestamped, stores it, and writes it to each place. Raises StorageError."""
    failures: list[str] = []

    def stamp(note: bytes) -> bytes | None:
        try:
            return ask(signing.tsa, note) if signing.tsa else None
        except BadTimestamp as error:
            failures.append(str(error))
            return None

    with open_engine(db) as engine:
        signed = checkpoints.sign(engine, signing.key, stamp)
    for place in signing.places:
        try:
            witnesses.write(place, signed.note)
        except Unwitnessed as error:
            failures.append(str(error))
    return NewCheckpoint(signed, failures)


def pop_signing(settings: dict[str, Any]) -> Signing | None:
    """Removes the options of ``options.signing`` from a command's settings; None without a key. Raises UsageError."""
    key, passphrase_file, tsa, witness = (settings.pop(name) for name in ("key", "passphrase_file", "tsa", "witness"))
    return Signing(load(key, passphrase_file), tsa, witness) if key else None


def after_command(db: str, signing: Signing | None, failures: list[str]) -> NewCheckpoint | None:
    """Makes the checkpoint at the end of another command; adds what failed to ``failures``."""
    if signing is None:
        return None
    try:
        checkpoint = make(db, signing)
    except StorageError as error:
        failures.append(str(error))
        return None
    failures += checkpoint.failures
    return checkpoint


def one_line(checkpoint: NewCheckpoint) -> str:
    """Formats a checkpoint in one line."""
    signed = checkpoint.signed
    return f"Checkpoint: {show.count(signed.size, 'row')}, signed as {signed_note.parse(signed.note).origin}."


def as_object(checkpoint: NewCheckpoint) -> dict[str, object]:
    """Returns a checkpoint as a JSON object."""
    signed = checkpoint.signed
    return {
        "id": signed.id,
        "size": signed.size,
        "new": signed.new,
        "note": signed.note,
        "timestamped": signed.timestamp is not None,
        "failures": checkpoint.failures,
    }
