"""Reads forbear.toml (TOML 1.0): a top-level key sets an option of all commands, a table those of one command."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from forbear.scripts.extras import MissingExtra

DEFAULT_FILE = "forbear.toml"

NOT_OPTIONS: Mapping[str, Collection[str]] = {"run": ("step",)}
"""Keys in the table of a command that are not options: the command reads them."""

Commands = Mapping[str, Callable[[], click.Command]]
"""The function that loads each command, by its name."""


@dataclass(frozen=True)
class Settings:
    """The content of a settings file; without a file, ``path`` is None and ``content`` is empty."""

    path: Path | None
    content: dict[str, Any]

    @classmethod
    def read(cls, name: str | None) -> Settings:
        """Reads the file with this name, or ./forbear.toml if that exists; raises UsageError."""
        path = Path(name or DEFAULT_FILE)
        if name is None and not path.exists():
            return cls(None, {})
        try:
            return cls(path, tomllib.loads(path.read_text("utf-8")))
        except OSError as error:
            raise click.UsageError(f"{path} cannot be read: {error.strerror}.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise click.UsageError(f"{path} is not TOML: {error}.") from None

    def defaults(self, name: str, command: click.Command, commands: Commands) -> dict[str, Any]:
        """Returns the defaults that the file sets for a command, in the form of click's default_map.

        Raises UsageError for a key that no command has, and for a value of the wrong type.
        """
        self._check_top(command, commands)
        own = self.content.get(name)
        table = own if isinstance(own, dict) else {}  # policy is a command and also an option, whose value is a text
        return self._defaults(name, command, {k: v for k, v in self.content.items() if not isinstance(v, dict)}, table)

    def _defaults(
        self, name: str, command: click.Command, common: dict[str, Any], table: dict[str, Any]
    ) -> dict[str, Any]:
        if isinstance(command, click.Group):
            found: dict[str, Any] = {}
            own = dict(_options(command))
            for key, value in table.items():
                if key not in own and (key not in command.commands or not isinstance(value, dict)):
                    raise click.UsageError(f"{self.path}: [{name}] has no option or command {key!r}. {_help(name)}")
            for key, part in command.commands.items():
                found[key] = self._defaults(f"{name}.{key}", part, common, table.get(key, {}))
            table = {key: value for key, value in table.items() if key in own}
            return {**found, **self._chosen(own, common, table)}
        known = dict(_options(command))
        for key in table:
            if key not in known and key not in NOT_OPTIONS.get(name, ()):
                raise click.UsageError(f"{self.path}: [{name}] has no option {key!r}. {_help(name)}")
        return self._chosen(known, common, table)

    def _chosen(self, known: dict[str, click.Option], common: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
        shared = {key for key, option in known.items() if option.envvar == envvar_of(key)}
        common = {key: value for key, value in common.items() if key in shared}
        chosen = {key: value for key, value in {**common, **table}.items() if key in known}
        return {str(known[key].name): self._value(key, value, known[key]) for key, value in chosen.items()}

    def _check_top(self, command: click.Command, commands: Commands) -> None:
        mine = {key for key, _ in _settable(command)}
        for key, value in self.content.items():
            if isinstance(value, dict):
                if key not in commands:
                    raise click.UsageError(f"{self.path}: there is no command named like the table [{key}]. {_help()}")
            elif key not in mine and not _may_be_known(key, commands):
                raise click.UsageError(f"{self.path}: no command has an option {key!r}. List them: forbear config")

    def _value(self, key: str, value: Any, option: click.Option) -> Any:
        """Returns a value in the form that click converts; raises UsageError if it has the wrong type."""
        kinds = (bool,) if option.is_flag else (str, int, float)
        values = value if option.multiple and isinstance(value, list) else [value]
        if any(not isinstance(each, kinds) or (isinstance(each, bool) and not option.is_flag) for each in values):
            wanted = "true or false" if option.is_flag else "a text or number" + (", or a list" * option.multiple)
            raise click.UsageError(f"{self.path}: {key!r} is {value!r}; write {wanted}.")
        if option.is_flag:
            return value
        return [str(each) for each in values] if option.multiple else str(value)


def _may_be_known(key: str, commands: Commands) -> bool:
    """Returns whether a command has an option with this key, or might have it if its extra were installed."""
    is_any_missing = False
    for load in commands.values():
        try:
            if key in dict(_settable(load())):
                return True
        except MissingExtra:
            is_any_missing = True
    return is_any_missing


def _help(name: str = "") -> str:
    return f"See: forbear {name.replace('.', ' ')}{' ' * bool(name)}--help"


def _settable(command: click.Command) -> Iterator[tuple[str, click.Option]]:
    """Yields the options of a command, and of the commands in it, by their keys in the file."""
    if isinstance(command, click.Group):
        for part in command.commands.values():
            yield from _settable(part)
    yield from _options(command)


def _options(command: click.Command) -> Iterator[tuple[str, click.Option]]:
    """Yields the options of the command itself."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.envvar:
            yield key_of(parameter), parameter


def key_of(option: click.Option) -> str:
    """Returns the key of an option in the file: its long name without the dashes."""
    return max(option.opts, key=len).lstrip("-")


def envvar_of(name: str) -> str:
    """Returns the environment variable of an option: FORBEAR_NAME."""
    return "FORBEAR_" + name.partition("/")[0].lstrip("-").replace("-", "_").upper()
