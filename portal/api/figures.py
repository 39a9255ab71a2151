"""The numbers of the dashboard's plots."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel

from forbear.portal.api.caller import OfLog
from forbear.portal.dashboard.figures import PLOTS

router = APIRouter()


class FigureRow(BaseModel):
    """A heading, and a number for each label."""

    heading: str
    numbers: list[int]


class OneFigure(BaseModel):
    """The numbers of a plot."""

    title: str
    about: str
    labels: list[str]
    rows: list[FigureRow]


class Figures(BaseModel):
    """The numbers of all plots, by name."""

    figures: dict[str, OneFigure]


@router.get("/figures", response_model=Figures)
def all_figures(caller: OfLog) -> Response:
    """The numbers of all plots: exclusions over time, adoption, what was deferred and why, domains, crawls."""
    caller.record_access("view")
    with caller.portal.reading() as connection:
        read = {name: plot.read(connection) for name, plot in PLOTS.items()}
    figures = {
        name: OneFigure(
            title=PLOTS[name].title,
            about=PLOTS[name].about,
            labels=list(figure.labels),
            rows=[FigureRow(heading=heading, numbers=list(numbers)) for heading, numbers in figure.rows],
        )
        for name, figure in read.items()
    }
    return caller.answer(Figures(figures=figures))
