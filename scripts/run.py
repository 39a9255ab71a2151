"""``forbear run``: crawls, rechecks, reports and checkpoints on a timetable, one at a time on a database."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from click.core import ParameterSource

from forbear.scripts import options, show, timetable
from forbear.scripts.settings import Settings
from forbear.scripts.timetable import BadTimetable, Step
from forbear.storage.database import open_database, translated, writing
from forbear.storage.db.records import now
from forbear.storage.frontier import runs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from forbear.storage.database import Engine
    from forbear.storage.frontier.runs import StepRun

LONGEST_SLEEP = 60.0
"""Seconds after which the clock is read again: it may have been set, or the machine have slept."""

FAILED = 4


class Done(NamedTuple):
    """A step that ran: how long (seconds), and its exit code."""

    step: str
    started_at: datetime
    seconds: float
    code: int


class Runner:
    """Runs what is due, in the order of the file; a signal ends the step under way and then the whole."""

    def __init__(self, engine: Engine, steps: Sequence[Step], file: Path) -> None:
        self._engine, self._steps, self._file = engine, steps, file
        self._stopped = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def stopped(self) -> bool:
        """Whether a signal came."""
        return self._stopped.is_set()

    def stop(self, number: int, _frame: FrameType | None) -> None:
        """What SIGTERM and SIGINT do: the step is asked to end, as it would be alone."""
        self._stopped.set()
        if self._child:
            self._child.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Sleeps until something is due, or a signal comes."""
        while not self.stopped:
            due = [step.due_at(last) for step, last in self.standing()]
            left = min(((at - now()).total_seconds() if at else 0.0) for at in due)
            if left <= 0:
                return
            self._stopped.wait(min(left, LONGEST_SLEEP))

    def standing(self) -> list[tuple[Step, StepRun | None]]:
        """Every step with its latest run."""
        with translated(self._engine.url), self._engine.connect() as connection:
            return [(step, runs.latest(connection, step.name)) for step in self._steps]

    def round(self) -> list[Done]:
        """Runs every step that is due now, once."""
        done = []
        for step, last in self.standing():
            at = step.due_at(last)
            if not self.stopped and (at is None or at <= now()):
                done.append(self._run(step))
        return done

    def _run(self, step: Step) -> Done:
        started = now()
        with translated(self._engine.url), writing(self._engine) as connection:
            run = runs.begin(connection, step.name, step.words, started)
        command = [sys.executable, "-m", "forbear", "--config", str(self._file), *step.words]
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno())  # noqa: S603
        if self.stopped:  # the signal came before there was anybody to hand it to
            self._child.send_signal(signal.SIGTERM)
        code = self._child.wait()
        self._child = None
        ended = now()
        if not self.stopped:  # what a signal ended is cut short, and due again at once
            with translated(self._engine.url), writing(self._engine) as connection:
                runs.end(connection, run, code if code >= 0 else FAILED, ended)
        return Done(step.name, started, (ended - started).total_seconds(), code if code >= 0 else FAILED)


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.db
@options.option("--once", is_flag=True, help="Run what is due now, and end.")
@options.option("--status", is_flag=True, help="Show when each step last ran and is due next; run nothing.")
@options.as_json
@click.pass_context
def command(ctx: click.Context, file: Path | None, db: str, once: bool, status: bool, as_json: bool) -> int:
    """Run the steps of a settings file (FILE, or the one in use) when they are due, until a signal comes.

    One run at a time has a database; another one ends at once. A step that never ran or that was cut short is due at
    once, any other at the first time of its cron expression (UTC) after it last began. With --once, the exit code
    is the highest of the steps'.

    \b
    Example:
      forbear run forbear.toml --once
      forbear run --status
    """
    settings = Settings.read(str(file)) if file else ctx.find_object(Settings)
    if settings is None or settings.path is None:
        raise click.UsageError("There is no settings file: name one that has [[run.step]] tables.")
    if ctx.get_parameter_source("db") in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP):
        db = str(settings.content.get("db", db))
    try:
        steps = timetable.read(settings.content.get("run"), _commands(ctx))
    except BadTimetable as error:
        raise click.UsageError(f"{settings.path}: {error}.") from None
    engine = open_database(db)
    try:
        runner = Runner(engine, steps, settings.path)
        if status:
            _tell_standing(runner.standing(), as_json)
            return 0
        with runs.exclusive_lock(engine) as mine:
            if not mine:
                click.echo("Another run is at work on this database; nothing was done.", err=True)
                return 0
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, runner.stop)
            return _loop(runner, once, as_json)
    finally:
        engine.dispose()


def _commands(ctx: click.Context) -> list[str]:
    program = ctx.find_root().command
    assert isinstance(program, click.Group)
    return program.list_commands(ctx)


def _loop(runner: Runner, once: bool, as_json: bool) -> int:
    if once:
        done = runner.round()
        _tell(done, as_json)
        return max((each.code for each in done), default=0)
    while not runner.stopped:
        _tell(runner.round(), as_json)
        runner.wait()
    return 0


def _tell(done: Sequence[Done], as_json: bool) -> None:
    if as_json:
        for each in done:
            click.echo(json.dumps(each._asdict() | {"started_at": each.started_at.isoformat()}))
    elif done:
        rows = ((each.step, show.moment(each.started_at), f"{each.seconds:.1f}", str(each.code)) for each in done)
        show.table(("step", "began", "seconds", "exit code"), rows)
    else:
        show.line("Nothing is due.")
    sys.stdout.flush()


def _tell_standing(standing: Sequence[tuple[Step, StepRun | None]], as_json: bool) -> None:
    rows = []
    for step, last in standing:
        at = step.due_at(last)
        how = "never" if last is None else "cut short" if last.finished_at is None else str(last.code)
        rows.append((step.name, step.at, show.moment(last.started_at) if last else "-", how, _next(at)))
    names = ("step", "at", "last began", "exit code", "due next")
    if as_json:
        for row in rows:
            click.echo(json.dumps(dict(zip(names, row, strict=True))))
    else:
        show.table(names, rows)


def _next(at: datetime | None) -> str:
    return "now" if at is None or at <= datetime.now(UTC) else show.moment(at)
