"""``forbear checkpoint``: signs the state of the log, and puts it where whoever changes the log cannot change it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from forbear.scripts import options, show
from forbear.scripts.key import load
from forbear.storage.chain import signed_note
from forbear.storage.chain.signed_note import SignerKey
from forbear.storage.database import Engine, StorageError, open_database, translated
from forbear.storage.proof import checkpoints, witnesses
from forbear.storage.proof.checkpoints import Signed
from forbear.storage.proof.timestamps import BadTimestamp, ask
from forbear.storage.proof.witnesses import Unwitnessed

FAILED = 4


class Sealing(NamedTuple):
    """How checkpoints are made: by which key, stamped by which authority, written to which places."""

    key: SignerKey
    tsa: str | None
    places: Sequence[str]


class NewCheckpoint(NamedTuple):
    """A checkpoint that was made, and what did not come about beside it, in sentences."""

    signed: Signed
    failures: list[str]


@click.command()
@options.option(
    "--key",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file with your key, from `forbear key new`.",
)
@options.passphrase_file
@options.tsa
@options.witness
@options.db
@options.as_json
def command(
    key: Path, passphrase_file: Path | None, tsa: str | None, witness: tuple[str, ...], db: str, as_json: bool
) -> int | None:
    """Sign the log as it stands (C2SP tlog-checkpoint), and store the checkpoint in it.

    Whoever holds a checkpoint can tell with `forbear verify --checkpoint` whether anything before it was changed since.
    So have it in places that those who run the database cannot write to. Where one of these fails, the checkpoint is
    stored all the same, and the exit code is 4. The same command is run at the end of every crawl that has a --key.

    \b
    Example:
      forbear checkpoint --key forbear.key --witness git:/srv/checkpoints --witness https://witness.example/forbear/
    """
    sealed = take(db, Sealing(load(key, passphrase_file), tsa, witness))
    if as_json:
        click.echo(json.dumps(as_object(sealed)))
    else:
        if not sealed.signed.new:
            show.line("Nothing was written since the last checkpoint:")
        click.echo(sealed.signed.note, nl=False)
    for failure in sealed.failures:
        click.echo(f"Error: {failure}", err=True)
    return FAILED if sealed.failures else None


def take(db: str, sealing: Sealing) -> NewCheckpoint:
    """Makes a checkpoint: signs, has it stamped, stores it, and then writes it to each place. Raises StorageError."""
    engine = open_database(db, create=False)
    try:
        with translated(engine.url):
            return _take(engine, sealing)
    finally:
        engine.dispose()


def _take(engine: Engine, sealing: Sealing) -> NewCheckpoint:
    failures: list[str] = []

    def stamp(note: bytes) -> bytes | None:
        try:
            return ask(sealing.tsa, note) if sealing.tsa else None
        except BadTimestamp as error:
            failures.append(str(error))
            return None

    signed = checkpoints.sign(engine, sealing.key, stamp)
    for place in sealing.places:
        try:
            witnesses.write(place, signed.note)
        except Unwitnessed as error:
            failures.append(str(error))
    return NewCheckpoint(signed, failures)


def wanted(settings: dict[str, Any]) -> Sealing | None:
    """Takes options.sealing out of a command's settings; None without a key. Raises UsageError."""
    key, passphrase_file, tsa, witness = (settings.pop(name) for name in ("key", "passphrase_file", "tsa", "witness"))
    return Sealing(load(key, passphrase_file), tsa, witness) if key else None


def seal(db: str, sealing: Sealing | None, failures: list[str]) -> NewCheckpoint | None:
    """The checkpoint at the end of another command; what does not come about is added to the failures."""
    if sealing is None:
        return None
    try:
        sealed = take(db, sealing)
    except StorageError as error:
        failures.append(str(error))
        return None
    failures += sealed.failures
    return sealed


def told(sealed: NewCheckpoint) -> str:
    """A checkpoint in a line."""
    return f"Checkpoint: {sealed.signed.size:,} rows, signed as {signed_note.parse(sealed.signed.note).origin}."


def as_object(sealed: NewCheckpoint) -> dict[str, object]:
    """A checkpoint as JSON has it."""
    signed = sealed.signed
    return {
        "id": signed.id,
        "size": signed.size,
        "new": signed.new,
        "note": signed.note,
        "timestamped": signed.timestamp is not None,
        "failures": sealed.failures,
    }
