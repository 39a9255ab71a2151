"""The program ``forbear``: loads the command, applies the settings, and reports every error in one sentence."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import click

from forbear.optout import __version__
from forbear.scripts import extras
from forbear.scripts.exit_codes import FAILED, INTERRUPTED, USAGE
from forbear.scripts.memory import OUT_OF_MEMORY, is_out_of_memory
from forbear.scripts.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "check": "Ask a site whether a URL may be used, and quote the words that decide.",
    "checkpoint": "Sign the log, and copy the checkpoint to places outside the database.",
    "complaints": "List complaints by rightsholders, and take their next step.",
    "config": "Print the settings in force, and where each comes from.",
    "conformance": "Run the conformance vectors against any program that decides.",
    "corpus": "List, compare, verify and describe the versions of a corpus.",
    "crawl": "Crawl, obey reservations, and write the audit log and the corpus.",
    "db": "Create or upgrade the database, and grant rights in it.",
    "decide": "Decide cases without network access: JSON lines in, decisions out.",
    "demo": "Crawl a simulated web on this machine, and show what was respected.",
    "erase": "Erase what the log says about pages, by age or by URL.",
    "export": "Write host rules to a file that decides without database or network.",
    "filter": "Remove reserved content from data that others collected.",
    "key": "Create the key that signs checkpoints, or show its public half.",
    "lists": "Import lists of infringing sites, and show their state and age.",
    "log": "Query the audit log: what was decided, when, and on whose words.",
    "lookup": "Show what the crawls in this database did with a domain or a URL.",
    "policy": "Explain how each protocol counts, and what your own file changes.",
    "recheck": "Ask the sources of kept pages again, and remove what is now reserved.",
    "replay": "Decide again from stored evidence, and show every difference.",
    "report": "Write the documents that the AI Act and the Code of Practice require.",
    "run": "Run crawls, rechecks, reports and checkpoints on a schedule.",
    "serve": "Serve the web portal, where rightsholders look up what happened.",
    "user": "Manage accounts of the portal, and tokens for its JSON API.",
    "verify": "Prove that no row of the log was edited, removed or cut off.",
}
"""Each command, in ``forbear.scripts.NAME``, with its summary: ``--help`` lists them without loading any."""


def load(name: str) -> click.Command:
    """Imports the command with this name in COMMANDS; raises MissingExtra."""
    gc.disable()  # loading libraries creates many objects and hardly any garbage: collecting would cost a tenth more
    try:
        return cast("click.Command", import_module(f"forbear.scripts.{name}").command)
    except ModuleNotFoundError as error:
        extras.explain(error, name)
        raise
    finally:
        gc.enable()


LOADERS = {name: partial(load, name) for name in COMMANDS}

BUG = "Please report this bug, with what the same command prints as `forbear --debug …`."


class Program(click.Group):
    """Loads commands on demand, sets their defaults from the settings file, and shows no traceback to a user."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Loads a command by its name, with the values of the settings file as its defaults."""
        if cmd_name not in COMMANDS:
            return None
        try:
            command = load(cmd_name)
        except extras.MissingExtra:
            if ctx.resilient_parsing:  # the shell asks what can be called
                return None
            raise
        if isinstance(ctx.obj, Settings):
            ctx.default_map = {**(ctx.default_map or {}), cmd_name: ctx.obj.defaults(cmd_name, command, LOADERS)}
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; unlike click, does not count a closed output pipe as an error."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except ModuleNotFoundError as error:
            extras.explain(error, str(ctx.invoked_subcommand))
            raise
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout once more at exit
            return 0
        return code

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Runs the program and exits with its exit code."""
        sys.exit(_run(lambda: super(Program, self).main(args, *rest, **{**extra, "standalone_mode": False})))


@click.command(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="forbear")
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False),
    envvar="FORBEAR_CONFIG",
    help="Read settings from this file.  [default: forbear.toml, if it exists]",
)
@click.option("--debug", is_flag=True, envvar="FORBEAR_DEBUG", help="Print a traceback with every error.")
@click.pass_context
def cli(ctx: click.Context, path: str | None, debug: bool) -> None:
    """Collect web pages for AI training, and leave alone what their owners reserved.

    Every option can also be set in forbear.toml (contact = "…") or in the environment (FORBEAR_CONTACT); the command
    line wins over the environment, and the environment over the file.

    \b
    Example:
      forbear check https://example.org/page
    """
    ctx.obj = Settings.read(path)
    if ctx.invoked_subcommand:  # click looked the command up before its settings were read
        cast("Program", ctx.command).get_command(ctx, ctx.invoked_subcommand)
    if debug:
        os.environ["FORBEAR_DEBUG"] = "1"


def _run(program: Any) -> int:
    """Runs the program, reports what went wrong on standard error, and returns the exit code."""
    try:
        code = program()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nStopped.", err=True)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 the last place where a traceback can be kept from a user
        return _report(error)
    return code if isinstance(code, int) else 0


def _report(error: Exception) -> int:
    """Reports a wrong argument (2), a failure outside of Forbear (4) or a bug in it (4); returns the exit code."""
    if os.environ.get("FORBEAR_DEBUG"):
        traceback.print_exception(error)
    if _is_instance(error, "forbear.optout.readers.url", "NotAUrl"):
        click.echo(f"Error: {error}.", err=True)
        return USAGE
    if is_out_of_memory(error):
        click.echo(f"Error: {OUT_OF_MEMORY}", err=True)
        return FAILED
    if isinstance(error, OSError) or _is_instance(error, "forbear.storage.database", "StorageError"):
        click.echo(f"Error: {_sentence(error)}", err=True)
    else:
        click.echo(f"Internal error ({type(error).__name__}: {error}). {BUG}", err=True)
    return FAILED


def _sentence(error: Exception) -> str:
    """Returns what failed outside of Forbear, and what to do about it."""
    if not isinstance(error, OSError) or error.strerror is None:  # we wrote the message
        return str(error)
    if error.filename is not None:
        return f"Cannot use {error.filename}: {error.strerror}. Correct this, or choose another path."
    return f"The operating system reports: {error.strerror}. Correct this, then run the same command again."


def _is_instance(error: Exception, module: str, name: str) -> bool:
    """Returns whether an error is of a class, without importing its module: if not loaded, it cannot be."""
    return module in sys.modules and isinstance(error, getattr(sys.modules[module], name))


def main() -> None:
    """Runs the program; the entry point of the installed ``forbear``."""
    cli(prog_name="forbear")


if __name__ == "__main__":
    main()
