"""``forbear key``: creates the key that signs checkpoints of the log, or shows its public half."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from forbear.scripts import options, show
from forbear.storage.chain.signed_note import BadNote, SignerKey, VerifierKey
from forbear.storage.proof import keys
from forbear.storage.proof.keys import BadKey

ENVIRONMENT = "FORBEAR_PASSPHRASE"


@click.group(cls=options.Group)
def command() -> None:
    """Create the key that signs checkpoints, or show its public half.

    \b
    Example:
      forbear key new --name example.org/forbear
    """


@command.command("new", short_help="Create a key.")
@options.option("--name", required=True, help="Unique name of the log, such as example.org/forbear.")
@options.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("forbear.key"),
    help="Write the key to this new file; keep it apart from the database.",
)
@options.passphrase_file
@options.as_json
def new_command(name: str, key: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Create an Ed25519 key in a file encrypted with a passphrase, and print its public half.

    The passphrase comes from --passphrase-file or the environment variable FORBEAR_PASSPHRASE, or is asked for. Publish
    the public half, so that anyone can check your signatures.

    \b
    Example:
      forbear key new --name example.org/forbear --key /media/stick/forbear.key
    """
    try:
        _show(keys.create(key, name, _passphrase(key, passphrase_file, confirm=True)), as_json)
    except BadKey as error:
        raise click.UsageError(str(error)) from None


@command.command("show", short_help="Print the public half of a key.")
@options.option("--key", type=options.existing_file, required=True, help="File of the key.")
@options.as_json
def show_command(key: Path, as_json: bool) -> None:
    """Print the public half of a key, as `forbear verify --key` and C2SP signed-note expect it; needs no passphrase.

    \b
    Example:
      forbear key show --key forbear.key
    """
    try:
        _show(keys.public(key), as_json)
    except BadKey as error:
        raise click.UsageError(str(error)) from None


def _show(verifier: VerifierKey, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"name": verifier.name, "key": verifier.text}))
    else:
        show.line(verifier.text)


def load(path: Path, passphrase_file: Path | None) -> SignerKey:
    """Loads the key in a file, with the passphrase from a file, the environment or a prompt; raises UsageError."""
    try:
        keys.public(path)  # so that a file that is not a key is reported before the passphrase is asked for
        return keys.load(path, _passphrase(path, passphrase_file))
    except BadKey as error:
        raise click.UsageError(str(error)) from None


def _passphrase(key: Path, file: Path | None, *, confirm: bool = False) -> str:
    if file is not None:
        return options.first_line(file)
    if ENVIRONMENT in os.environ:
        return os.environ[ENVIRONMENT]
    phrase: str = click.prompt(f"Passphrase for {key}", hide_input=True, confirmation_prompt=confirm, err=True)
    return phrase


def key_of(name: str) -> VerifierKey:
    """Returns the verifier key that is given, or is in the file that is named; raises UsageError."""
    try:
        return keys.public(Path(name)) if Path(name).is_file() else VerifierKey.parse(name)
    except (BadKey, BadNote) as error:
        raise click.UsageError(str(error)) from None
