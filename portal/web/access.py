"""Records in the access log what a person or a program looks at (OWASP ASVS 5.0, 16.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forbear.portal.web.limits import address_of
from forbear.storage.accounts import sessions
from forbear.storage.db.records import now

if TYPE_CHECKING:
    from fastapi import Request

    from forbear.portal.web.context import Portal


def address_asked(request: Request) -> str:
    """Returns the path of a request with its query."""
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def record_access(portal: Portal, request: Request, name: str, event: str, what: str = "") -> None:
    """Records that ``name`` looks at or does something, before they see it; by default, the address is recorded."""
    with portal.writing() as connection:
        sessions.log_access(connection, name, address_of(request), event, what or address_asked(request), now())
