"""Background jobs: publish changes of the card, send queued mail, expire old records."""

from __future__ import annotations

import asyncio
import logging
import smtplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from forbear.portal.public.publishing import current
from forbear.portal.web.context import Portal
from forbear.storage.accounts import attempts, mails, subscriptions
from forbear.storage.database import StorageError
from forbear.storage.db.records import now

logger = logging.getLogger(__name__)

SECONDS = 15.0
"""Seconds between two rounds."""

MOST_MAILS = 50
"""Most mails sent in one round."""


@asynccontextmanager
async def background_jobs(app: FastAPI) -> AsyncIterator[None]:
    """Runs a round at intervals while the application runs."""
    task = asyncio.create_task(_run_rounds(app.state.portal))
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _run_rounds(portal: Portal) -> None:
    while True:
        try:
            await asyncio.to_thread(work, portal)
        except StorageError as error:  # the next round tries again
            logger.warning("%s", error)
        await asyncio.sleep(SECONDS)


def work(portal: Portal) -> None:
    """Runs one round. Raises StorageError."""
    current(portal)
    with portal.writing() as connection:
        subscriptions.expire(connection, now())
        attempts.expire(connection, now())
    deliver(portal)


def deliver(portal: Portal) -> None:
    """Sends the mails that are due; failed ones are retried later. Raises StorageError."""
    smtp = portal.settings.smtp
    if smtp is None:
        return
    with portal.writing() as connection:
        waiting = mails.claim(connection, now(), MOST_MAILS)
    for mail in waiting:
        try:
            smtp.send(mail)
        except (OSError, smtplib.SMTPException) as error:
            with portal.writing() as connection:
                mails.mark_failed(connection, mail, now(), str(error) or type(error).__name__)
        else:
            with portal.writing() as connection:
                mails.mark_sent(connection, mail, now())
