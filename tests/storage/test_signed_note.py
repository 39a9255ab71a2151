from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from forbear.storage.chain.signed_note import BadNote, Checkpoint, SignerKey, VerifierKey, check_name, parse, verify

# The example of golang.org/x/mod/sumdb/note, which the format comes from: key and signature are given there.
PETER = VerifierKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")

KEY = SignerKey("log.example/forbear", Ed25519PrivateKey.from_private_bytes(bytes(32)))
CHECKPOINT = Checkpoint("log.example/forbear", 20852163, bytes(range(32)))
NOTE = KEY.sign(CHECKPOINT.text)


def test_a_key_as_others_write_it() -> None:
    assert PETER.name == "PeterNeumann"
    assert PETER.id.hex() == "c74f20a3"
    assert PETER.text == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_a_signature_as_others_make_it() -> None:
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    _, _, line = text.rpartition("\n\n")
    signature = base64.b64decode(line.split()[2])
    assert signature[:4] == PETER.id
    signed = text.rpartition("\n\n")[0] + "\n"
    Ed25519PublicKey.from_public_bytes(PETER.public).verify(signature[4:], signed.encode())


def test_a_checkpoint_is_three_lines_and_a_signature() -> None:
    root = base64.b64encode(bytes(range(32))).decode()
    assert NOTE.startswith(f"log.example/forbear\n20852163\n{root}\n\n— log.example/forbear ")
    assert NOTE.endswith("\n")
    assert parse(NOTE) == verify(NOTE, KEY.verifier) == CHECKPOINT


def test_other_signatures_and_lines_are_not_a_hindrance() -> None:
    witness = SignerKey("witness.example/w", Ed25519PrivateKey.generate())
    text = f"{CHECKPOINT.text}an extension\n"
    both = KEY.sign(text) + witness.sign(text).rpartition("\n\n")[2]
    for key in (KEY, witness):
        assert verify(both, key.verifier) == CHECKPOINT


@pytest.mark.parametrize(
    "note",
    [
        "",
        "nothing",
        NOTE[:-1],
        NOTE.replace("\n\n", "\n"),
        NOTE.replace("20852163", "0020852163"),
        NOTE.replace("20852163", "-1"),
        NOTE.replace("20852163", "²"),
        NOTE.replace("—", "-"),
        NOTE.replace("AAECAw", "AAEC"),
        NOTE.replace("AAECAw", "!!!!!!"),
        NOTE.replace("— log.example/forbear ", "— log.example/forbear  "),
        NOTE.replace("— log.example/forbear ", "— log.example/forbear AAAA"),
        "x" * 70000 + NOTE,
    ],
)
def test_what_is_not_a_checkpoint_is_refused(note: str) -> None:
    with pytest.raises(BadNote):
        verify(note, KEY.verifier)


@pytest.mark.parametrize(
    "changed", [NOTE.replace("20852163", "20852164"), NOTE.replace("log.example/forbear\n2", "x\n2")]
)
def test_what_was_changed_is_not_signed(changed: str) -> None:
    with pytest.raises(BadNote, match="is wrong"):
        verify(changed, KEY.verifier)


def test_a_key_of_the_same_name_did_not_sign() -> None:
    other = SignerKey(KEY.name, Ed25519PrivateKey.generate()).verifier
    with pytest.raises(BadNote, match="and not by log"):
        verify(NOTE, other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+12345678",
        "name+12345678+AAAA",
        KEY.verifier.text.replace("log", "lag"),
        KEY.verifier.text[:-4] + "AAA=",
        KEY.verifier.text.replace("+AT", "+BT"),
    ],
)
def test_what_is_not_a_key_is_refused(text: str) -> None:
    assert VerifierKey.parse(f" {KEY.verifier.text}\n") == KEY.verifier
    with pytest.raises(BadNote, match="not a verifier key"):
        VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b"])
def test_names_are_as_the_notes_want_them(name: str) -> None:
    assert check_name("log.example/forbear") == "log.example/forbear"
    with pytest.raises(BadNote, match="not a valid key name"):
        check_name(name)
