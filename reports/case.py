"""Renders the report of a bundle: one HTML file that needs no network and runs nothing, and the same as PDF (Typst)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files

import jinja2
import typst

from forbear.storage.reads.bundle import Case

_html = jinja2.Environment(
    loader=jinja2.PackageLoader("forbear.reports"), autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
)


def render(case: Case) -> Iterator[tuple[str, bytes]]:
    """Renders ``index.html`` and ``report.pdf``."""
    yield "index.html", _html.get_template("case.html").render(case=case).encode("utf-8", "backslashreplace")
    content = json.dumps(case.as_json(), default=str)
    made = typst.compile(
        files("forbear.reports").joinpath("templates", "case.typ").read_bytes(), sys_inputs={"case": content}
    )
    assert isinstance(made, bytes)
    yield "report.pdf", made
