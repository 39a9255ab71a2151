"""Figures on the dashboard: exclusions over time, adoption, deferrals and their causes, domains, crawls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from forbear.portal.dashboard.auth import OfLog
from forbear.portal.dashboard.filters import Name
from forbear.portal.dashboard.plots import bars, columns
from forbear.storage.database import Connection
from forbear.storage.log import rollups
from forbear.storage.log.rollups import Figure
from forbear.storage.reads.columns import Column, Shape
from forbear.storage.reads.exports import FORMS

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot: its title, what its numbers mean, how they are read and drawn."""

    title: str
    about: str
    read: Callable[[Connection], Figure]
    draw: Callable[[Figure], Markup]


PLOTS: Mapping[str, Plot] = {
    "protocols": Plot(
        "Exclusions over time, by protocol",
        "Decisions that excluded, as they were written. One that several protocols decided counts for each of them.",
        partial(rollups.over_time, column="protocol"),
        columns,
    ),
    "measures": Plot(
        "Exclusions over time, by measure",
        "The same, by the paragraph of the Code of Practice's Copyright chapter that the words serve.",
        partial(rollups.over_time, column="measure"),
        columns,
    ),
    "adoption": Plot(
        "Protocols in use",
        "Hosts that ever used a protocol, by what they want. One that has since stopped still counts.",
        rollups.adoption,
        bars,
    ),
    "deferred": Plot(
        "Deferred, and why",
        "Decisions that were put off, by the failure that stood in the way. One that was made later still counts.",
        rollups.deferred,
        bars,
    ),
    "domains": Plot(
        "Domains by what was kept",
        "Octets of all copies that were ever kept, with those that were taken out of the corpus since.",
        rollups.heaviest,
        partial(bars, unit="bytes"),
    ),
    "crawls": Plot("From crawl to crawl", "Decisions of the newest crawls.", rollups.by_crawl, bars),
    "changes": Plot(
        "What changed with the newest crawl",
        "Decisions that excluded, by protocol, in the newest crawl and the one before it.",
        rollups.changes,
        partial(bars, is_stacked=False),
    ),
}
"""Every plot, by its name in URLs."""


@router.get("/dashboard/figures")
def figures(user: OfLog) -> HTMLResponse:
    """All plots, each with its numbers as a table."""
    user.record_access("view")
    with user.portal.reading() as connection:
        read = {name: plot.read(connection) for name, plot in PLOTS.items()}
    drawn = {name: PLOTS[name].draw(figure) for name, figure in read.items() if figure.rows}
    return user.render("figures.html", plots=PLOTS, figures=read, drawn=drawn, forms=FORMS)


@router.get("/dashboard/figures/{name}.{form}")
def table(user: OfLog, name: Name, form: str) -> Response:
    """The numbers of a plot as a file."""
    if name not in PLOTS:
        raise HTTPException(404, f"There is no figure {name}: take {', '.join(PLOTS)}.")
    plot = PLOTS[name]
    with user.portal.reading() as connection:
        figure = plot.read(connection)
    columns = (Column("heading", "text", plot.about), *(Column(label, "whole", plot.about) for label in figure.labels))
    rows = ({"heading": heading, **dict(zip(figure.labels, numbers, strict=True))} for heading, numbers in figure.rows)
    return user.export(f"{name}.{form}", Shape(plot.title, columns), rows)
