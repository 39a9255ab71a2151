"""The filters of the log as the query of a URL: what stands in it is what is shown, saved, exported and asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from forbear.optout.model import Stage, Verdict
from forbear.storage.reads.browse import Cursor
from forbear.storage.reads.queries import Filter

_PLAIN = r"^[ -~]*$"
"""Ids and names of ours are printable ASCII; PostgreSQL takes no NUL to compare with."""


class Filters(BaseModel):
    """Which decisions are asked for; what is empty does not matter."""

    model_config = ConfigDict(extra="ignore")

    domain: str = Field("", max_length=2048, description="A domain or host in any spelling, or a URL of it.")
    subdomains: str = Field("", max_length=3, description="'no': without what lies below the domain.")
    prefix: str = Field("", max_length=2048, description="URLs that begin so.")
    protocol: str = Field("", pattern=_PLAIN, max_length=100, description="A reason of this protocol.")
    measure: str = Field(
        "", pattern=_PLAIN, max_length=20, description="A reason that serves this paragraph, as 1.3(1)(b)."
    )
    verdict: str = Field("", max_length=10, description="What followed: allowed, excluded, deferred.")
    standard: str = Field("", max_length=10, description="What profile standard makes of the same.")
    strict: str = Field("", max_length=10, description="What profile strict makes of the same.")
    stage: str = Field("", max_length=10, description="request or page.")
    crawl: str = Field("", pattern=_PLAIN, max_length=64, description="Decisions of this crawl.")
    since: str = Field("", max_length=40, description="Not before this day or time (RFC 3339).")
    until: str = Field("", max_length=40, description="Before this day or time.")

    def wanted(self) -> Filter:
        """The same for the log; raises HTTPException 422 with a sentence."""
        return Filter(
            domain=self.domain or None,
            subdomains=self.subdomains != "no",
            url_prefix=self.prefix or None,
            protocol=self.protocol or None,
            measure=self.measure or None,
            verdict=_word(Verdict, self.verdict),
            standard=_word(Verdict, self.standard),
            strict=_word(Verdict, self.strict),
            stage=_word(Stage, self.stage),
            crawl=self.crawl or None,
            since=_moment(self.since),
            until=_moment(self.until),
        )

    def told(self) -> list[tuple[str, str]]:
        """What is asked for, by name, for people."""
        return [(name, value) for name, value in self.model_dump().items() if value]

    def query(self, **changes: str) -> str:
        """What stands behind the question mark of a URL, with these changes; what is empty is left out."""
        return urlencode({name: value for name, value in {**self.model_dump(), **changes}.items() if value})


Asked = Annotated[Filters, Query()]

Name = Annotated[str, Path(pattern=_PLAIN, max_length=64)]
"""An id or a number in a path."""


def cursor(text: str) -> Cursor | None:
    """The cursor of a URL; raises HTTPException 422."""
    try:
        return Cursor.parse(text) if text else None
    except ValueError:
        raise HTTPException(422, "There is no such page: begin at the first one.") from None


def _word(kind: type[StrEnum], text: str) -> Any:
    try:
        return kind(text) if text else None
    except ValueError:
        raise HTTPException(422, f"{text!r} is none of {', '.join(map(str, kind))}.") from None


def _moment(text: str) -> datetime | None:
    try:
        # A + of an offset that nobody escaped arrives as a space.
        at = datetime.fromisoformat(text.replace(" ", "+")) if text else None
    except ValueError:
        raise HTTPException(422, f"{text!r} is no time: write 2026-01-31 or 2026-01-31T12:00:00Z.") from None
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
