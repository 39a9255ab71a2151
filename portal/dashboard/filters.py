"""The filters of the log, as the query of a URL, for pages, saved queries, exports and the API."""

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
"""Ids and names are printable ASCII; PostgreSQL refuses to compare with NUL."""


class Filters(BaseModel):
    """Which decisions to show; empty fields do not filter."""

    model_config = ConfigDict(extra="ignore")

    domain: str = Field("", max_length=2048, description="A domain or host in any spelling, or a URL of it.")
    subdomains: str = Field("", max_length=3, description="'no' leaves out everything below the domain.")
    prefix: str = Field("", max_length=2048, description="URLs that begin with this.")
    protocol: str = Field("", pattern=_PLAIN, max_length=100, description="A reason of this protocol.")
    measure: str = Field(
        "", pattern=_PLAIN, max_length=20, description="A reason that serves this paragraph, as 1.3(1)(b)."
    )
    verdict: str = Field("", max_length=10, description="The verdict: allowed, excluded, deferred.")
    standard: str = Field("", max_length=10, description="The verdict of profile standard.")
    strict: str = Field("", max_length=10, description="The verdict of profile strict.")
    stage: str = Field("", max_length=10, description="request or page.")
    crawl: str = Field("", pattern=_PLAIN, max_length=64, description="Decisions of this crawl.")
    since: str = Field("", max_length=40, description="From this day or time on (RFC 3339).")
    until: str = Field("", max_length=40, description="Before this day or time.")

    def wanted(self) -> Filter:
        """Returns the filter for the log. Raises HTTPException 422 with a sentence."""
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

    def named(self) -> list[tuple[str, str]]:
        """Returns the fields that are set, with their names."""
        return [(name, value) for name, value in self.model_dump().items() if value]

    def query(self, **changes: str) -> str:
        """Returns the query of a URL with these changes, without empty fields."""
        return urlencode({name: value for name, value in {**self.model_dump(), **changes}.items() if value})


LogFilters = Annotated[Filters, Query()]

Name = Annotated[str, Path(pattern=_PLAIN, max_length=64)]
"""An id or a number in a path."""


def cursor(text: str) -> Cursor | None:
    """Parses the cursor in a URL. Raises HTTPException 422."""
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
        # An unescaped + of an offset arrives as a space.
        at = datetime.fromisoformat(text.replace(" ", "+")) if text else None
    except ValueError:
        raise HTTPException(422, f"{text!r} is not a time: write 2026-01-31 or 2026-01-31T12:00:00Z.") from None
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
