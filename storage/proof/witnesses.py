"""Writes signed checkpoints to places outside the database, out of reach of those who can change it.

A place is a folder or a file, an http(s) URL, or ``git:FOLDER``, a git work tree there.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx

from forbear.storage.chain import signed_note

_SECONDS = 30


class Unwitnessed(Exception):
    """A checkpoint could not be written to a place; the message is a sentence."""


def write(place: str, note: str) -> None:
    """Writes a signed checkpoint to a place. Raises Unwitnessed.

    A folder gets a file for each checkpoint, ``checkpoint-000000000306.txt`` for one of 306 rows; a file has the
    latest. A URL that ends in a slash gets such files by PUT, any other gets the checkpoint by POST. A git repository
    gets a commit of ``checkpoint.txt``, which is pushed if the repository has a remote.
    """
    name = f"checkpoint-{signed_note.parse(note).size:012}.txt"
    try:
        if place.startswith(("http://", "https://")):
            _send(place, name, note)
        elif place.startswith("git:"):
            _commit(Path(place.removeprefix("git:")), note)
        else:
            path = Path(place)
            _write(path / name if path.is_dir() else path, note)
    except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unwitnessed(f"The checkpoint could not be written to {place}: {error}.") from None


def _write(path: Path, note: str) -> None:
    """Writes a file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(note, "utf-8")
    part.replace(path)


def _send(url: str, name: str, note: str) -> None:
    method, target = ("PUT", url + name) if url.endswith("/") else ("POST", url)
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    answer = httpx.request(method, target, content=note.encode(), headers=headers, timeout=_SECONDS)
    if not answer.is_success:
        raise Unwitnessed(f"The checkpoint could not be written to {url}: it answered {answer.status_code}.")


def _commit(folder: Path, note: str) -> None:
    _write(folder / "checkpoint.txt", note)
    _git(folder, "add", "checkpoint.txt")
    if _git(folder, "status", "--porcelain", "checkpoint.txt"):
        identity = ("-c", "user.name=Forbear", "-c", "user.email=forbear@localhost")
        message = f"Checkpoint of {signed_note.parse(note).size} rows"
        _git(folder, *identity, "commit", "--quiet", f"--message={message}", "--", "checkpoint.txt")
    if _git(folder, "remote"):
        _git(folder, "push", "--quiet")


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603 no shell
    except subprocess.TimeoutExpired:
        raise Unwitnessed(f"The checkpoint could not be written to git:{folder}: git did not finish.") from None
    if done.returncode:
        message = done.stderr.strip().partition("\n")[0].rstrip(".")
        raise Unwitnessed(f"The checkpoint could not be written to git:{folder}: {message}.")
    return done.stdout.strip()
