"""``forbear config``: prints the settings in force for each command, and where each comes from."""

from __future__ import annotations

import json
import re
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from forbear.scripts.extras import MissingExtra
from forbear.scripts.options import as_json
from forbear.scripts.settings import Settings, key_of
from forbear.scripts.show import table

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):[^/@\s]*@")

_ORIGINS = {
    ParameterSource.COMMANDLINE: "command line",
    ParameterSource.ENVIRONMENT: "environment",
    ParameterSource.DEFAULT: "default",
}


class Setting(NamedTuple):
    """One option of one command; a password in its value is replaced by ``***``."""

    command: str
    option: str
    value: Any
    origin: str


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@as_json
@click.argument("words", metavar="[COMMAND [OPTION…]]", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(ctx: click.Context, as_json: bool, words: tuple[str, ...]) -> None:
    """Print the settings in force, and where each comes from: default, settings file, environment, command line.

    Add a command and its options to see the settings that it would run with.

    \b
    Example:
      forbear config
      forbear config --json check --profile strict
    """
    root = ctx.find_root()
    program = root.command
    assert isinstance(program, click.Group)
    names = words[:1] or tuple(program.list_commands(root))
    found: list[Setting] = []
    for name in names:
        try:
            part = program.get_command(root, name)
        except MissingExtra:
            if words:
                raise
            continue  # it cannot be called, so nothing is in force for it
        if part is None:
            raise click.UsageError(f"There is no command {name!r}. List them: forbear --help")
        found += _settings(root, name, part, list(words[1:]))
    if as_json:
        click.echo(json.dumps([setting._asdict() for setting in found], ensure_ascii=False, indent=2))
    else:
        table(Setting._fields, ((s.command, f"--{s.option}", _text(s.value), s.origin) for s in found))


def _settings(parent: click.Context, name: str, part: click.Command, words: list[str]) -> Iterator[Setting]:
    info = name.rpartition(" ")[2]
    context = click.Context(part, parent=parent, info_name=info)
    if isinstance(part, click.Group):
        for key, inner in part.commands.items():
            yield from _settings(context, f"{name} {key}", inner, words[1:] if words[:1] == [key] else [])
        if words[:1] and words[0] in part.commands:
            words = []
    given, _, _ = part.make_parser(context).parse_args(words)
    for parameter in part.params:
        if isinstance(parameter, click.Option) and parameter.envvar:
            value, source = parameter.consume_value(context, given)
            if source is ParameterSource.DEFAULT_MAP:
                origin = str(parent.find_object(Settings).path)  # type: ignore[union-attr]
            else:
                origin = _ORIGINS[source]
            # click marks an option without a value with a member of a private enumeration
            known = None if isinstance(value, Enum) else _hidden(parameter.process_value(context, value))
            yield Setting(name, key_of(parameter), known, origin)


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return _PASSWORD.sub(r"\1:***@", value)
    if isinstance(value, Path):
        return str(value)
    return [_hidden(each) for each in value] if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    if value is None or value == []:
        return "-"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
