"""Limits guesses at passwords and codes: after failed sign-ins, the next attempt has to wait.

If failures lock an account, anybody who knows its name can lock it; if they do not, it can be guessed at for ever. NIST
SP 800-63B 5.2.2 allows 100 failed attempts in a row, and names two ways to keep strangers from locking the owner out: a
growing wait, and attempts from addresses that the owner has signed in from before. OWASP's "Slow Down Online Guessing
Attacks with Device Cookies" combines them: each client that has signed in is counted by itself, all others together. It
is done so here, with the client (an IPv4 address, an IPv6 network of 64 bits) in place of the cookie:

- A client that failed FREE times with a name waits, longer each time, up to a quarter of an hour. Others do not.
- Strangers are clients that have not signed in with the name for KNOWN. All strangers together have FREE_TOGETHER
  failures, and then wait for each other, up to an hour. Guesses from any number of addresses are about 107 a day then.
- Of these, FREE_CODES may have the right password and a wrong code; after that it is 24 a day. A guessed code is right
  three times in a million (6 digits, 3 time steps), so somebody who has the password needs 25 years for an even chance,
  and the access log has "wrong code" each time.
- An address that the owner has signed in from waits for its own failures only, and a session is never affected. While
  many addresses guess, the owner may have to wait at a new address: it looks like theirs.

An attempt is counted before it is checked, so parallel guesses gain nothing over guesses in a row. One that has to wait
is refused like a wrong one, takes the same work, and is not counted. Names without an account are counted alike. Counts
are in the database, so all processes of a portal share them, and a restart forgets nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from forbear.storage.db.account_tables import accounts, attempts
from forbear.storage.db.dialects import insert

FREE = 5
"""Failures of one client with one name without a wait."""

FREE_TOGETHER = 100
"""Failures of all strangers with one name without a wait."""

FREE_CODES = 10
"""Of these, the ones with the right password."""

FIRST = timedelta(seconds=30)
"""The first wait; each further failure doubles it."""

LONGEST = timedelta(minutes=15)
LONGEST_TOGETHER = timedelta(hours=1)

MEMORY = timedelta(hours=24)
"""How long the failures of a client count after the last one."""

KNOWN = timedelta(days=90)
"""How long a client is not a stranger after it has signed in."""


def begin_attempt(connection: Connection, name: str, client: str, at: datetime) -> bool:
    """Checks whether a sign-in may go on; counts it as failed until ``finish_attempt``. In a write transaction."""
    connection.execute(select(accounts.c.id).where(accounts.c.name == name).with_for_update())  # one after the other
    rows = connection.execute(select(attempts).where(attempts.c.name == name)).all()
    failed = [row for row in rows if row.failed_at is not None and row.failed_at > at - MEMORY]
    own = next((row for row in rows if row.client == client), None)
    mine = [row for row in failed if row.client == client]
    waits = [_until(mine, "failures", FREE, LONGEST)]
    if own is None or not _is_known(own, at):
        strangers = [row for row in failed if not _is_known(row, at)]
        waits.append(_until(strangers, "failures", FREE_TOGETHER, LONGEST_TOGETHER))
        waits.append(_until(strangers, "wrong_codes", FREE_CODES, LONGEST_TOGETHER))
    if any(until is not None and until > at for until in waits):
        return False
    counted = {
        "failures": sum(row.failures for row in mine) + 1, "wrong_codes": sum(row.wrong_codes for row in mine) + 1,
        "failed_at": at, "forget_at": max(at + MEMORY, own.forget_at if own else at),
    }  # fmt: skip
    added = insert(connection, attempts).values(name=name, client=client, **counted)
    connection.execute(added.on_conflict_do_update(index_elements=["name", "client"], set_=counted))
    return True


def finish_attempt(
    connection: Connection, name: str, client: str, at: datetime, *, succeeded: bool, knew: bool
) -> None:
    """Records how an attempt went; ``knew``: the password was right. In a write transaction."""
    values: dict[str, Any] = {"wrong_codes": attempts.c.wrong_codes - (0 if knew else 1)}
    if succeeded:  # this clears earlier failures from the address (NIST SP 800-63B 5.2.2)
        values = {"failures": 0, "wrong_codes": 0, "failed_at": None, "signed_in_at": at, "forget_at": at + KNOWN}
    connection.execute(attempts.update().where(attempts.c.name == name, attempts.c.client == client).values(values))


def forget(connection: Connection, name: str) -> None:
    """Deletes the counts of a name, as when its account gets a new password."""
    connection.execute(delete(attempts).where(attempts.c.name == name))


def expire(connection: Connection, at: datetime) -> None:
    """Deletes counts that no longer matter."""
    connection.execute(delete(attempts).where(attempts.c.forget_at <= at))


def _is_known(row: Row[Any], at: datetime) -> bool:
    return row.signed_in_at is not None and row.signed_in_at > at - KNOWN


def _until(rows: Sequence[Row[Any]], counted: str, free: int, longest: timedelta) -> datetime | None:
    """Returns when the next attempt may be checked, after the failures of these rows; None: at once."""
    over: int = sum(getattr(row, counted) for row in rows) - free
    if over < 0:
        return None
    last: datetime = max(row.failed_at for row in rows)
    return last + min(FIRST * (1 << min(over, 16)), longest)
