"""Publishes a new version of the card when anything in it changed, and mails subscribers."""

from __future__ import annotations

from forbear.portal.public.card import card, differences
from forbear.portal.web.context import Portal
from forbear.storage.accounts import cards, mails, subscriptions
from forbear.storage.accounts.cards import Version
from forbear.storage.database import Connection
from forbear.storage.db.records import now


def current(portal: Portal) -> Version:
    """Returns the present card, after publishing it if it differs from the latest version."""
    with portal.reading() as connection:
        content = card(connection, portal.settings)
        latest = cards.versions(connection, 1)
    if latest and latest[0].content == content:
        return latest[0]
    with portal.writing() as connection:
        before = cards.versions(connection, 1)
        published = cards.publish(connection, content, now())
        if published and before:
            _mail_subscribers(connection, portal, before[0], published)
        return published or before[0]


def _mail_subscribers(connection: Connection, portal: Portal, before: Version, after: Version) -> None:
    changes = "\n".join(describe_changes(before, after))
    for subscription in subscriptions.confirmed(connection):
        body = (
            f"What {portal.settings.name} publishes about its crawlers has changed:\n\n{changes}\n\n"
            f"The whole of it: {portal.address('/crawlers')}\n"
            f"Every change: {portal.address('/crawlers/changes')}\n"
            f"No more of these mails: {portal.address(f'/subscriptions/{subscription.token}')}\n"
        )
        subject = f"{portal.settings.name}: our crawlers have changed"
        end = portal.address(f"/subscriptions/{subscription.token}/end")
        mails.queue(connection, subscription.email, subject, body, now(), unsubscribe=end)


def describe_changes(before: Version, after: Version) -> list[str]:
    """Returns the differences of two versions, one a line."""
    lines = []
    for path, old, new in differences(before.content, after.content):
        gone_or_new = f"no more: {old}" if old else f"new: {new}"
        lines.append(f"{path}: {old} → {new}" if old and new else f"{path}: {gone_or_new}")
    return lines
