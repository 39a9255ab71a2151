"""Writes the commands and options in docs/reference/cli.md: ``python -m tests.cli_reference`` (``make pages``)."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from forbear.scripts.__main__ import LOADERS, cli

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "cli.md"
BEGIN, END = "<!-- made by make pages -->", "<!-- end -->"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _options(context: click.Context) -> Iterator[str]:
    options = [param for param in context.command.get_params(context) if isinstance(param, click.Option)]
    records = [option.get_help_record(context) for option in options]
    found = [record for record in records if record and "--help" not in record[0]]
    if found:
        yield from ("", "| option | what it does |", "| --- | --- |")
        yield from (f"| `{_cell(names)}` | {_cell(text)} |" for names, text in found)


def _help(text: str) -> Iterator[str]:
    """The paragraphs of a help text; one that click may not rewrap (``\\b``) is shown as it is."""
    for paragraph in textwrap.dedent(text).strip().split("\n\n"):
        first, _, rest = paragraph.partition("\n")
        if first.strip() == "\b":
            heading, *lines = rest.splitlines()
            yield from ("", heading.strip(), "", *(f"    {line.strip()}" for line in lines))
        else:
            yield from ("", " ".join(paragraph.split()).replace("<", "&lt;"))


def section(command: click.Command, name: str, parent: click.Context, level: int = 3) -> Iterator[str]:
    """A command with its options, and the commands below it."""
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield from ("", f"{'#' * level} {context.command_path}", "", f"    {usage}", *_help(command.help or ""))
    yield from _options(context)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found:
                yield from section(found, below, context, level + 1)


def commands() -> str:
    """All commands as Markdown, in the order of their names."""
    root = click.Context(cli, info_name="forbear")
    lines = (line for name in sorted(LOADERS) for line in section(LOADERS[name](), name, root))
    return "\n".join(lines).strip()


def page(old: str) -> str:
    """The page with the commands between its marks."""
    made = f"{BEGIN}\n\n{commands()}\n\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: made, old, count=1, flags=re.S)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"Wrote {PAGE.relative_to(ROOT)}.")
