"""People who sign in to the portal of a test."""

from __future__ import annotations

from typing import Any

import pyotp
from sqlalchemy import Engine

from forbear.storage.accounts import accounts
from forbear.storage.accounts.accounts import Account, Role
from forbear.storage.database import writing
from forbear.storage.db.account_tables import accounts as rows
from forbear.storage.db.records import now

PASSWORD = "correct horse battery staple"


def enrolled(engine: Engine, name: str, role: Role) -> Account:
    """An account whose owner has set up codes."""
    with writing(engine) as connection:
        account = accounts.add(connection, name, role, PASSWORD, now())
        connection.execute(rows.update().where(rows.c.id == account.id).values(enrolled_at=now()))
        found = accounts.find(connection, name)
    assert found
    return found


def sign_in(portal: Any, account: Account, **more: str) -> Any:
    """What the sign-in form answers, sent with all that is right."""
    given = {"name": account.name, "password": PASSWORD, "code": pyotp.TOTP(account.totp).now(), **more}
    return portal.post("/dashboard/sign-in", "/dashboard/sign-in", given)
