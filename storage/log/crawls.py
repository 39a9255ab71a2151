"""Crawls: begun, resumed, ended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, select

from forbear.optout.model import Profile, Use
from forbear.optout.policy import Policy
from forbear.storage.chain import chain, leaves
from forbear.storage.db.dialects import insert
from forbear.storage.db.records import new_id
from forbear.storage.db.schema import crawls, pages
from forbear.storage.log import policies


class CrawlState(StrEnum):
    """The state of a crawl."""

    RUNNING = "running"
    STOPPED = "stopped"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class CrawlRecord:
    """Who crawls, for what use and how; ``configuration`` is all settings in force, as JSON holds them."""

    engine: str
    agent: str
    user_agent: str
    contact: str
    use: Use
    profile: Profile
    shadow: bool
    policy: Policy
    configuration: Mapping[str, Any]

    @property
    def configuration_digest(self) -> str:
        """Returns the SHA-256, in hexadecimal, of the configuration as JSON with sorted keys."""
        return hashlib.sha256(json.dumps(dict(self.configuration), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Crawl:
    """A crawl that has begun; ``resumed`` if an unfinished one with this configuration existed."""

    id: str
    resumed: bool


def begin(connection: Connection, record: CrawlRecord, at: datetime) -> Crawl:
    """Resumes the unfinished crawl with this configuration, or begins a new one.

    Decisions from now on have the present engine, policy and identity, even in a crawl that older ones began.
    """
    identity = _running(connection, record)
    digest = record.configuration_digest
    new = insert(connection, crawls).on_conflict_do_nothing().returning(crawls.c.id)
    first = {"configuration": dict(record.configuration), "configuration_digest": digest, "started_at": at}
    row = {"id": new_id()} | first | identity
    created = connection.scalar(new, row)
    if created is not None:
        chain.append(connection, [leaves.new_leaf("crawl", row)])
        return Crawl(created, resumed=False)
    unfinished = crawls.update().where(
        crawls.c.configuration_digest == digest, crawls.c.state != CrawlState.FINISHED.value
    )
    crawl: str = connection.execute(unfinished.values(identity).returning(crawls.c.id)).scalar_one()
    return Crawl(crawl, resumed=True)


def resume(connection: Connection, record: CrawlRecord, *, ignoring: Collection[str] = ()) -> Crawl | None:
    """Resumes the latest crawl with this configuration, finished or not; returns None if there never was one.

    Keys of the configuration in ``ignoring`` may differ. Reads the configurations of all crawls.
    """
    wanted = json.loads(json.dumps(_but(record.configuration, ignoring)))  # as it comes out of the database
    known = select(crawls.c.id, crawls.c.configuration).order_by(crawls.c.started_at.desc(), crawls.c.id.desc())
    for row in connection.execute(known):
        if _but(row.configuration, ignoring) == wanted:
            connection.execute(crawls.update().where(crawls.c.id == row.id).values(_running(connection, record)))
            return Crawl(row.id, resumed=True)
    return None


def _but(configuration: Mapping[str, Any], some: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in configuration.items() if name not in some}


def _running(connection: Connection, record: CrawlRecord) -> dict[str, Any]:
    policies.record_policy(connection, record.policy)
    return {
        "engine": record.engine,
        "agent": record.agent,
        "user_agent": record.user_agent,
        "contact": record.contact,
        "use": str(record.use),
        "profile": str(record.profile),
        "shadow": record.shadow,
        "policy": record.policy.digest,
        "state": CrawlState.RUNNING.value,
        "finished_at": None,
    }


def end(connection: Connection, crawl: str, state: CrawlState, at: datetime) -> None:
    """Marks a crawl as stopped (the same command resumes it) or finished."""
    connection.execute(crawls.update().where(crawls.c.id == crawl).values(state=state.value, finished_at=at))


def started_at(connection: Connection, crawl: str) -> datetime:
    """Returns when a crawl began."""
    started: datetime = connection.execute(select(crawls.c.started_at).where(crawls.c.id == crawl)).scalar_one()
    return started


def count_pages(connection: Connection, crawl: str) -> int:
    """Counts the pages that a crawl has kept; reads all their rows."""
    return connection.scalar(select(func.count()).select_from(pages).where(pages.c.crawl == crawl)) or 0


def latest(connection: Connection) -> str | None:
    """Returns the id of the crawl that began last."""
    return connection.scalar(select(crawls.c.id).order_by(crawls.c.started_at.desc()).limit(1))


@dataclass(frozen=True, slots=True)
class Identity:
    """A crawler as sites see it; its crawls began from ``first_at`` to ``last_at``."""

    agent: str
    user_agent: str
    contact: str
    use: str
    profile: str
    policy: str
    first_at: datetime
    last_at: datetime


def identities(connection: Connection) -> list[Identity]:
    """Returns every crawler of this database, the one that crawled last first."""
    columns = crawls.c
    same = (columns.agent, columns.user_agent, columns.contact, columns.use, columns.profile, columns.policy)
    last = func.max(columns.started_at)
    found = select(*same, func.min(columns.started_at), last).group_by(*same).order_by(last.desc(), *same)
    return [Identity(*row) for row in connection.execute(found)]
