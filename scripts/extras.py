"""The extras: packages that ``pip install forbear`` does not install, and the message that names a missing extra."""

from __future__ import annotations

import click

PACKAGES = {
    "crawl": (
        "croniter",
        "fastwarc",
        "fsspec",
        "httpx",
        "pdfplumber",
        "prometheus_client",
        "psycopg",
        "pyarrow",
        "resiliparse",
        "rfc3161_client",
    ),
    "reports": ("docx", "jinja2", "typst"),
    "portal": (
        "argon2",
        "authlib",
        "dns",
        "fastapi",
        "joserfc",
        "pydantic",
        "pyotp",
        "segno",
        "starlette",
        "uvicorn",
    ),
}
"""The packages of each extra, by import name; a package of several extras is listed with the first."""

OWN = {"report": "reports", "serve": "portal", "user": "portal"}
"""The extra of a command, which brings all that it needs; any other command needs the one that has the package."""


class MissingExtra(click.ClickException):
    """A command whose extra is not installed; the message is one sentence."""

    exit_code = 2


def explain(error: ModuleNotFoundError, command: str) -> None:
    """Raises MissingExtra if what could not be imported is a package of an extra."""
    package = (error.name or "").partition(".")[0]
    if home := next((extra for extra, names in PACKAGES.items() if package in names), None):
        extra = OWN.get(command, home)
        raise MissingExtra(f"forbear {command} needs the extra {extra}: pip install 'forbear[{extra}]'") from error
