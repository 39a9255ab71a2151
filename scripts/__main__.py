"""The program ``forbear``: finds the command, reads the settings, and turns every error into a sentence."""

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
from forbear.scripts.memory import OUT_OF_MEMORY, is_out_of_memory
from forbear.scripts.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "check": "Ask a site now: may this URL be used, and whose words say so?",
    "checkpoint": "Sign the state of the log, and put it where nobody here can change it.",
    "complaints": "Complaints by rightsholders: what waits, and the next step of each.",
    "config": "Print the settings in force, and where each comes from.",
    "conformance": "Put the conformance vectors to any program that decides.",
    "corpus": "Show the versions of a corpus, compare and verify them.",
    "crawl": "Crawl: enforce reservations, write the audit log and the corpus.",
    "db": "Create the database, or upgrade it to this version's schema.",
    "decide": "Answer cases without network: JSON lines in, decisions out.",
    "demo": "Crawl a small web on this machine, and show what was respected.",
    "export": "Write what hosts said to a file that decides without database or network.",
    "erase": "Erase what the log says about pages: by age, or a URL by its name.",
    "key": "Make the key that checkpoints are signed with, or show it.",
    "lists": "Import lists of infringing sites; show their state and age.",
    "filter": "Take what is reserved out of data that others collected.",
    "log": "Query the audit log: what was decided, when, and in whose words.",
    "lookup": "What the crawls of this database did with a domain or a URL.",
    "recheck": "Ask the sources of kept pages again; what is reserved now leaves.",
    "report": "Make the documents that the law and the Code ask for.",
    "serve": "Serve the web portal, where rightsholders look up what happened.",
    "run": "Crawl, recheck, report and sign on a timetable.",
    "policy": "Explain which protocol counts how, and what your own file changes.",
    "replay": "Decide again from the evidence stored: what comes out otherwise?",
    "user": "Accounts of the portal, and tokens for its JSON API.",
    "verify": "Prove that no row of the log was edited, removed or cut off.",
}
"""The command in ``forbear.scripts.NAME``, and its line in the list: the list is shown without loading any."""


def load(name: str) -> click.Command:
    """Returns the command of a name in COMMANDS; raises MissingExtra."""
    gc.disable()  # libraries make many objects and hardly garbage: looking for it takes a tenth of loading them
    try:
        return cast("click.Command", import_module(f"forbear.scripts.{name}").command)
    except ModuleNotFoundError as error:
        extras.explain(error, name)
        raise
    finally:
        gc.enable()


LOADERS = {name: partial(load, name) for name in COMMANDS}

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


class Program(click.Group):
    """Loads a command when it is called, gives it its settings, and lets no traceback reach a user."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, with the settings of the file as its defaults."""
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
        """The list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; that a reader has seen enough is no error, as it would be to click."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except ModuleNotFoundError as error:
            extras.explain(error, str(ctx.invoked_subcommand))
            raise
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
            return 0
        return code

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Runs the program and exits with one of the codes of the command line's description."""
        sys.exit(_run(lambda: super(Program, self).main(args, *rest, **{**extra, "standalone_mode": False})))


@click.command(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="forbear")
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False),
    envvar="FORBEAR_CONFIG",
    help="Settings file; ./forbear.toml is read if it is there.",
)
@click.option("--debug", is_flag=True, envvar="FORBEAR_DEBUG", help="Show where in the program an error arose.")
@click.pass_context
def cli(ctx: click.Context, path: str | None, debug: bool) -> None:
    """Collects web pages for AI training, and leaves alone what its owners reserved.

    Every option can stand in forbear.toml and in an environment variable (--contact: FORBEAR_CONTACT) too; the
    command line wins.

    \b
    Example: forbear check https://example.org/page
    """
    ctx.obj = Settings.read(path)
    if ctx.invoked_subcommand:  # was looked up before its settings could be read
        cast("Program", ctx.command).get_command(ctx, ctx.invoked_subcommand)
    if debug:
        os.environ["FORBEAR_DEBUG"] = "1"


def _run(program: Any) -> int:
    """The exit code of the program, with what went wrong said on standard error."""
    try:
        code = program()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nStopped.", err=True)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 the last place where a traceback can be kept from a user
        return _failed(error)
    return code if isinstance(code, int) else 0


def _failed(error: Exception) -> int:
    """Says what was wrong: the use of it (2), an outside part (4), or the program itself (4)."""
    if os.environ.get("FORBEAR_DEBUG"):
        traceback.print_exception(error)
    if _is(error, "forbear.optout.readers.url", "NotAUrl"):
        click.echo(f"Error: {error}.", err=True)
        return 2
    if is_out_of_memory(error):
        click.echo(f"Error: {OUT_OF_MEMORY}", err=True)
        return 4
    if isinstance(error, OSError) and error.filename is not None:
        error = OSError(f"{error.filename} cannot be used ({error.strerror}): name another place, or set it right.")
    if isinstance(error, OSError) or _is(error, "forbear.storage.database", "StorageError"):
        click.echo(f"Error: {error}", err=True)
        return 4
    click.echo(
        f"Error: Forbear itself is at fault ({type(error).__name__}: {error}). Please report this, with what"
        " `forbear --debug …` prints.",
        err=True,
    )
    return 4


def _is(error: Exception, module: str, name: str) -> bool:
    """Whether an error is of a class, without loading its module: had it not been loaded, it could not be."""
    return module in sys.modules and isinstance(error, getattr(sys.modules[module], name))


def main() -> None:
    """What the installed program ``forbear`` calls."""
    cli(prog_name="forbear")


if __name__ == "__main__":
    main()
