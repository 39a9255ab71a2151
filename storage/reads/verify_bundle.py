"""Checks a bundle of Forbear's log, with the standard library and `cryptography` only: Forbear is not needed.

    python verify.py [FOLDER_OR_ZIP] [--key NAME+ID+BASE64]

Without a folder, checks the one that has this file. Without a key, uses the bundle's own, which proves less: the maker
of the bundle chose it. Forbear's documentation explains what is checked, and how
("Prove that the log is unchanged").
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ROWS = ("decisions.jsonl", "captures/captures.jsonl")


class BadBundle(Exception):
    """Something in the bundle is not as it was when the checkpoint was signed."""


def sha256(content: bytes) -> bytes:
    """Returns the digest."""
    return hashlib.sha256(content).digest()


def canonical(value: Any) -> bytes:
    """Returns RFC 8785 of what a log holds: text, whole numbers, booleans, lists, objects with ASCII keys."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode("utf-8", "backslashreplace")  # half a surrogate pair stays an escape


def read(where: Path) -> dict[str, bytes]:
    """Reads the files of the bundle: name to bytes."""
    if where.is_file():
        with zipfile.ZipFile(where) as bundle:
            return {name: bundle.read(name) for name in bundle.namelist() if not name.endswith("/")}
    return {path.relative_to(where).as_posix(): path.read_bytes() for path in where.rglob("*") if path.is_file()}


def signed_checkpoint(note: str, key: str) -> tuple[int, bytes]:
    """Returns size and root of the checkpoint, if the key signed it (C2SP signed-note, tlog-checkpoint)."""
    try:
        name, identifier, encoded = key.strip().split("+", 2)
        public = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise BadBundle(f"{key.strip()!r} is not a verifier key, NAME+ID+BASE64") from None
    if sha256(name.encode() + b"\n" + public)[:4].hex() != identifier or public[:1] != b"\x01":
        raise BadBundle("the verifier key is malformed")
    text, _, signatures = note.rpartition("\n\n")
    for line in signatures.splitlines():
        _, signer, signature = line.split(" ")
        decoded = base64.b64decode(signature, validate=True)
        if signer == name and decoded[:4].hex() == identifier:
            Ed25519PublicKey.from_public_bytes(public[1:]).verify(decoded[4:], f"{text}\n".encode())
            _, size, root = text.split("\n")[:3]
            return int(size), base64.b64decode(root, validate=True)
    raise BadBundle(f"{name} did not sign the checkpoint")


def root_of(leaf: bytes, position: int, size: int, path: list[bytes]) -> bytes:
    """Returns the root that a leaf and its audit path lead to (RFC 9162 2.1.3.2)."""
    node, last, root = position, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise BadBundle("the path is too long")
        if node % 2 or node == last:
            root = sha256(b"\1" + sibling + root)
            while node % 2 == 0 and node:
                node, last = node >> 1, last >> 1
        else:
            root = sha256(b"\1" + root + sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise BadBundle("the path is too short")
    return root


def check_row(row: dict[str, Any], proofs: dict[int, Any], size: int, root: bytes) -> None:
    """Checks that a sealed row was in the log when the checkpoint was signed, with these words."""
    record, leaf = row["record"], sha256(b"\0" + canonical(row["record"]))
    position = record["position"]
    proof = proofs.get(position)
    if proof is None or not 0 <= position < size:
        raise BadBundle("it has no proof")
    if leaf.hex() != proof["leaf"]:
        raise BadBundle("the record does not have its hash")
    if root_of(leaf, position, size, [bytes.fromhex(node) for node in proof["path"]]) != root:
        raise BadBundle("the proof does not lead to the checkpoint")
    if "salt" in row:
        if sha256(bytes.fromhex(row["salt"]) + canonical(row["payload"])).hex() != record["payload"]:
            raise BadBundle("the words are not those that the record commits to")
    elif "payload" in row:
        raise BadBundle("words without a salt prove nothing")


def check(files: dict[str, bytes], key: str) -> tuple[list[str], dict[str, int], int]:
    """Returns everything that is wrong, as sentences, and the number of rows of each kind."""
    size, root = signed_checkpoint(files["checkpoint.txt"].decode(), key)
    proofs = {proof["position"]: proof for proof in map(json.loads, files["proofs.jsonl"].splitlines())}
    wrong: list[str] = []
    counts: dict[str, int] = {}
    captures: set[str] = set()
    rests: dict[str, str] = {}
    for name in ROWS:
        for number, line in enumerate(files.get(name, b"").splitlines(), start=1):
            try:
                row = json.loads(line)
                check_row(row, proofs, size, root)
                kind, kept = row["record"]["kind"], row["record"]["row"]
                counts[kind] = counts.get(kind, 0) + 1
                if kind == "capture":
                    captures.add(kept["id"])
                rests.update(dict.fromkeys(kept.get("captures", ()), f"{name}, line {number}"))
            except (BadBundle, ValueError, KeyError, TypeError) as error:
                wrong.append(f"{name}, line {number}: {error}")
    wrong += [f"{where}: capture {capture} is missing" for capture, where in rests.items() if capture not in captures]
    for name, content in files.items():
        folder, _, file = name.rpartition("/")
        named = file.partition(".")[0]
        if (folder == "captures" and name not in ROWS) or folder == "policy":
            counts[folder] = counts.get(folder, 0) + 1
            if sha256(content).hex() != named:
                wrong.append(f"{name}: the content does not have the digest that is its name")
    return wrong, counts, size


def main() -> None:
    """Checks a bundle and prints the result; the exit code is 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description="Checks a bundle of Forbear's log.")
    parser.add_argument("bundle", nargs="?", type=Path, default=Path(__file__).parent, help="a folder or a zip file")
    parser.add_argument("--key", help="the operator's verifier key, as they publish it")
    arguments = parser.parse_args()
    try:
        files = read(arguments.bundle)
        if not arguments.key and "checkpoint.txt" in files and "key.vkey" not in files:
            sys.exit("The bundle has no key: name the one that the operator publishes with --key.")
        key = arguments.key or files["key.vkey"].decode()
        wrong, counts, size = check(files, key)
    except InvalidSignature:
        sys.exit("WRONG: the signature under the checkpoint is not by this key.")
    except (BadBundle, OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        sys.exit(f"WRONG: the bundle cannot be checked: {error}.")
    for sentence in wrong:
        print(f"WRONG: {sentence}.")
    print(f"Checkpoint: {size} rows, signed by {key.strip()}" + ("" if arguments.key else " (the bundle's own key)"))
    print("In the bundle: " + ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    sys.exit("The bundle was changed." if wrong else 0)


if __name__ == "__main__":
    main()
