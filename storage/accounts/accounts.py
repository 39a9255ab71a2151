"""Portal accounts: passwords (Argon2id, RFC 9106), one-time codes (TOTP, RFC 6238), roles.

Answers reveal nothing to somebody who guesses: an unknown name, a wrong password, a wrong code and an attempt that must
wait (forbear.storage.accounts.attempts) are refused alike, and take the same work.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Row, delete, select

from forbear.storage.accounts import attempts
from forbear.storage.accounts.totp_encryption import WrongKey, decrypt_secret, encrypt_secret
from forbear.storage.db.account_tables import accounts, saved_queries, sessions, tokens
from forbear.storage.db.records import new_id

SHORTEST = 12
"""Minimum password length (OWASP ASVS 5.0, 6.2.1, asks for 8)."""
LONGEST = 1024

_hasher = PasswordHasher()  # the library's parameters are RFC 9106's second choice: 64 MiB, three passes
_hashing = threading.BoundedSemaphore(4)  # strangers make the portal hash, and each hash takes these 64 MiB


class Role(StrEnum):
    """The role of an account."""

    VIEWER = "viewer"
    LEGAL = "legal"
    ADMIN = "admin"


class Scope(StrEnum):
    """A permission: in a session by role, with a token by the scopes it was given."""

    LOG = "log"
    COMPLAINTS = "complaints"
    AUDIT = "audit"


SCOPES: Mapping[Role, frozenset[Scope]] = {
    Role.VIEWER: frozenset({Scope.LOG}),
    Role.LEGAL: frozenset({Scope.LOG, Scope.COMPLAINTS}),
    Role.ADMIN: frozenset(Scope),
}
"""The permissions of each role."""


class BadAccount(ValueError):
    """An account that cannot be made or does not exist; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account; ``enrolled``: its owner has given a code once; ``totp``: the secret of the codes, as stored."""

    id: str
    name: str
    role: Role
    totp: str
    enrolled: bool

    @property
    def scopes(self) -> frozenset[Scope]:
        """Returns the permissions of its role."""
        return SCOPES[self.role]


def code_secret(connection: Connection, account: Account) -> str:
    """Returns the secret of the codes, in base32. Raises WrongKey."""
    return decrypt_secret(connection, account.id, account.totp)


def otpauth_uri(secret: str, name: str, issuer: str) -> str:
    """Returns the content of the QR code for an authenticator app (otpauth, Key Uri Format)."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def undecryptable(connection: Connection) -> list[str]:
    """Returns the names of accounts whose codes are encrypted with another secret."""
    names = []
    for row in connection.execute(select(accounts).order_by(accounts.c.name)):
        try:
            decrypt_secret(connection, row.id, row.totp)
        except WrongKey:
            names.append(row.name)
    return names


def add(connection: Connection, name: str, role: Role, password: str, at: datetime, *, subject: str = "") -> Account:
    """Adds an account; with ``subject`` (issuer and subject), that issuer signs it in. Raises BadAccount."""
    if not name or len(name) > 100 or not name.isprintable() or name != name.strip():
        raise BadAccount(f"{name!r} is not a valid sign-in name: take up to 100 letters, without spaces around")
    if find(connection, name) is not None:
        raise BadAccount(f"There is an account {name} already: take another name")
    key = new_id()
    row = {
        "id": key, "name": name, "role": str(role), "password": "" if subject else hash_password(password),
        "totp": encrypt_secret(connection, key, pyotp.random_base32()), "enrolled_at": None, "counter": 0,
        "subject": subject or None, "created_at": at, "disabled_at": None,
    }  # fmt: skip
    connection.execute(accounts.insert(), row)
    return _read(connection.execute(select(accounts).where(accounts.c.id == row["id"])).one())


def hash_password(password: str) -> str:
    """Hashes a new password; raises BadAccount if it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadAccount(f"A password has {SHORTEST} to {LONGEST} characters: take a sentence")
    return _hasher.hash(password)


def find(connection: Connection, name: str) -> Account | None:
    """Finds an account by name, disabled or not."""
    row = connection.execute(select(accounts).where(accounts.c.name == name)).one_or_none()
    return _read(row) if row else None


def by_subject(connection: Connection, subject: str) -> Account | None:
    """Finds the active account that an issuer signs in."""
    wanted = accounts.c.subject == subject, accounts.c.disabled_at.is_(None)
    row = connection.execute(select(accounts).where(*wanted)).one_or_none()
    return _read(row) if row else None


def list_accounts(connection: Connection) -> list[dict[str, Any]]:
    """Returns all accounts, without their secrets."""
    columns = accounts.c
    shown = columns.name, columns.role, columns.created_at, columns.enrolled_at, columns.disabled_at
    return [dict(row._mapping) for row in connection.execute(select(*shown).order_by(columns.name))]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a sign-in with a password is checked against; without an account, nothing is right."""

    account: Account | None
    password: str = field(repr=False)
    code_secret: str = field(repr=False)
    counter: int


@dataclass(frozen=True, slots=True)
class SignInCheck:
    """The result of a check: ``counter`` is the time step of the code (or the last one), None if anything is wrong."""

    knew_password: bool
    counter: int | None


def credentials(connection: Connection, name: str) -> Credentials:
    """Reads the credentials of the account with this name. Raises WrongKey."""
    wanted = accounts.c.name == name, accounts.c.password != "", accounts.c.disabled_at.is_(None)
    row = connection.execute(select(accounts).where(*wanted)).one_or_none()
    if row is None:
        return Credentials(None, _nobody(), "", 0)
    return Credentials(_read(row), row.password, decrypt_secret(connection, row.id, row.totp), row.counter)


def check(known: Credentials, password: str, code: str, at: datetime) -> SignInCheck:
    """Checks a password and code, a tenth of a second of work: call it outside of any transaction.

    An account that never gave a code needs none: it has to enrol before anything else.
    """
    right = _verify(known.password, password[:LONGEST])
    counter: int | None = known.counter
    if known.account and known.account.enrolled:
        counter = _counter(known.code_secret, code, at)
        counter = counter if counter is not None and counter > known.counter else None
    return SignInCheck(right, counter if right else None)


def sign_in(connection: Connection, known: Credentials, checked: SignInCheck, password: str) -> Account | None:
    """Returns the account; None if anything is wrong or has changed meanwhile. In a write transaction."""
    account = known.account
    if account is None or checked.counter is None:
        return None
    values: dict[str, Any] = {"counter": checked.counter}
    if _hasher.check_needs_rehash(known.password):
        values["password"] = _hasher.hash(password)
    if known.code_secret == account.totp:  # stored before the portal had a cipher
        values["totp"] = encrypt_secret(connection, account.id, known.code_secret)
    # Each code is taken once, also where two come at the same time: the counter has to be the one that was read.
    same = accounts.c.id == account.id, accounts.c.password == known.password, accounts.c.counter == known.counter
    open_ = accounts.c.disabled_at.is_(None)
    changed = connection.execute(accounts.update().where(*same, open_).values(values)).rowcount
    return account if changed == 1 else None


def enrol(connection: Connection, account: Account, code: str, at: datetime) -> bool:
    """Records that the owner has the codes, if this is a valid one. In a write transaction."""
    counter = _counter(code_secret(connection, account), code, at)
    if counter is None:
        return False
    enrolled = accounts.update().where(accounts.c.id == account.id, accounts.c.enrolled_at.is_(None))
    return connection.execute(enrolled.values(enrolled_at=at, counter=counter)).rowcount == 1


def change(connection: Connection, name: str, **values: Any) -> None:
    """Changes an account, and ends its sessions. Raises BadAccount."""
    found = _named(connection, name)
    connection.execute(accounts.update().where(accounts.c.id == found.id).values(values))
    connection.execute(delete(sessions).where(sessions.c.account == found.id))


def set_password(connection: Connection, name: str, password: str) -> None:
    """Sets a new password and new codes, which the owner has to enrol again. Raises BadAccount."""
    code_secret = encrypt_secret(connection, _named(connection, name).id, pyotp.random_base32())
    change(connection, name, password=hash_password(password), enrolled_at=None, counter=0, totp=code_secret)
    attempts.forget(connection, name)


def remove(connection: Connection, name: str) -> None:
    """Deletes an account with its sessions, tokens and queries; its access log stays. Raises BadAccount."""
    found = _named(connection, name)
    for table in (sessions, tokens, saved_queries):
        connection.execute(delete(table).where(table.c.account == found.id))
    connection.execute(delete(accounts).where(accounts.c.id == found.id))
    attempts.forget(connection, name)


def _named(connection: Connection, name: str) -> Account:
    found = find(connection, name)
    if found is None:
        raise BadAccount(f"There is no account {name}: look at `forbear user list`")
    return found


def _verify(hash_: str, password: str) -> bool:
    with _hashing:
        try:
            return _hasher.verify(hash_, password)
        except (VerificationError, InvalidHashError):
            return False


@lru_cache(maxsize=1)
def _nobody() -> str:
    """Returns a hash that no password has, so that an unknown name takes as long as a known one."""
    return _hasher.hash(secrets.token_hex())


def _counter(secret: str, code: str, at: datetime) -> int | None:
    """Returns the time step of a code: this one or a neighbour (RFC 6238 5.2); None if it is wrong."""
    digits = "".join(code.split())
    totp = pyotp.TOTP(secret)
    step = int(at.timestamp()) // totp.interval
    matching = (near for near in (step - 1, step, step + 1) if secrets.compare_digest(totp.generate_otp(near), digits))
    return next(matching, None) if digits.isascii() else None


def _read(row: Row[Any]) -> Account:
    return Account(row.id, row.name, Role(row.role), row.totp, row.enrolled_at is not None)
