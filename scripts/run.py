"""``forbear run``: runs crawls, rechecks, reports and checkpoints on a schedule, one at a time per database."""

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

from forbear.scripts import options, schedule, show
from forbear.scripts.exit_codes import FAILED
from forbear.scripts.schedule import BadSchedule, Step
from forbear.scripts.settings import Settings
from forbear.storage.database import open_database, translated, writing
from forbear.storage.db.records import now
from forbear.storage.frontier import runs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from forbear.storage.database import Engine
    from forbear.storage.frontier.runs import StepRun

LONGEST_SLEEP = 60.0
"""Seconds after which the clock is read again, as it may have been set or the machine suspended."""


class StepResult(NamedTuple):
    """A step that ran: its start, its duration in seconds, and its exit code."""

    step: str
    started_at: datetime
    seconds: float
    code: int


class Runner:
    """Runs the steps that are due, in the order of the file; a signal ends the current step and then the runner."""

    def __init__(self, engine: Engine, steps: Sequence[Step], file: Path) -> None:
        self._engine, self._steps, self._file = engine, steps, file
        self._stopped = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def stopped(self) -> bool:
        """Whether a signal was received."""
        return self._stopped.is_set()

    def stop(self, number: int, _frame: FrameType | None) -> None:
        """Handles SIGTERM and SIGINT: stops the runner, and sends SIGTERM to the current step."""
        self._stopped.set()
        if self._child:
            self._child.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Sleeps until a step is due, or a signal is received."""
        while not self.stopped:
            due = [step.due_at(last) for step, last in self.status()]
            left = min(((at - now()).total_seconds() if at else 0.0) for at in due)
            if left <= 0:
                return
            self._stopped.wait(min(left, LONGEST_SLEEP))

    def status(self) -> list[tuple[Step, StepRun | None]]:
        """Returns every step with its latest run."""
        with translated(self._engine.url), self._engine.connect() as connection:
            return [(step, runs.latest(connection, step.name)) for step in self._steps]

    def run_due(self) -> list[StepResult]:
        """Runs every step that is due now, once."""
        done = []
        for step, last in self.status():
            at = step.due_at(last)
            if not self.stopped and (at is None or at <= now()):
                done.append(self._run(step))
        return done

    def _run(self, step: Step) -> StepResult:
        started = now()
        with translated(self._engine.url), writing(self._engine) as connection:
            run = runs.begin(connection, step.name, step.words, started)
        command = [sys.executable, "-m", "forbear", "--config", str(self._file), *step.words]
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno())  # noqa: S603
        if self.stopped:  # the signal came before the child existed
            self._child.send_signal(signal.SIGTERM)
        code = self._child.wait()
        self._child = None
        ended = now()
        if not self.stopped:  # a step that a signal ended is not finished, so it is due again at once
            with translated(self._engine.url), writing(self._engine) as connection:
                runs.end(connection, run, code if code >= 0 else FAILED, ended)
        return StepResult(step.name, started, (ended - started).total_seconds(), code if code >= 0 else FAILED)


@click.command()
@click.argument("file", required=False, type=options.existing_file)
@options.db
@options.option("--once", is_flag=True, help="Run the steps that are due now, and exit.")
@options.option("--status", is_flag=True, help="Show when each step last ran and is due next; run nothing.")
@options.as_json
@click.pass_context
def command(ctx: click.Context, file: Path | None, db: str, once: bool, status: bool, as_json: bool) -> int:
    """Run the steps of a settings file (by default forbear.toml) when they are due, until stopped by a signal.

    Only one `forbear run` works on a database at a time; a second one exits at once. A step that never ran or did not
    finish is due at once, any other at the first time of its cron expression (UTC) after its last start. With --once,
    the exit code is the highest of the steps.

    \b
    Example:
      forbear run forbear.toml --once
      forbear run --status
    """
    settings = Settings.read(str(file)) if file else ctx.find_object(Settings)
    if settings is None or settings.path is None:
        raise click.UsageError("There is no forbear.toml here. Name a settings file with [[run.step]] tables.")
    if ctx.get_parameter_source("db") in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP):
        db = str(settings.content.get("db", db))
    try:
        steps = schedule.read(settings.content.get("run"), _commands(ctx))
    except BadSchedule as error:
        raise click.UsageError(f"{settings.path}: {error}.") from None
    engine = open_database(db)
    try:
        runner = Runner(engine, steps, settings.path)
        if status:
            _print_status(runner.status(), as_json)
            return 0
        with runs.exclusive_lock(engine) as mine:
            if not mine:
                click.echo("Another `forbear run` is working on this database; this one exits.", err=True)
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
        done = runner.run_due()
        _print_results(done, as_json)
        return max((each.code for each in done), default=0)
    while not runner.stopped:
        _print_results(runner.run_due(), as_json)
        runner.wait()
    return 0


def _print_results(done: Sequence[StepResult], as_json: bool) -> None:
    if as_json:
        for each in done:
            click.echo(json.dumps(each._asdict() | {"started_at": each.started_at.isoformat()}))
    elif done:
        rows = ((each.step, show.time(each.started_at), f"{each.seconds:.1f}", str(each.code)) for each in done)
        show.table(("step", "started", "seconds", "exit code"), rows)
    else:
        show.line("No step is due. See when each is: forbear run --status")
    sys.stdout.flush()


def _print_status(status: Sequence[tuple[Step, StepRun | None]], as_json: bool) -> None:
    rows = []
    for step, last in status:
        at = step.due_at(last)
        how = "never" if last is None else "cut short" if last.finished_at is None else str(last.code)
        rows.append((step.name, step.at, show.time(last.started_at) if last else "-", how, _next(at)))
    names = ("step", "at", "last began", "exit code", "due next")
    if as_json:
        for row in rows:
            click.echo(json.dumps(dict(zip(names, row, strict=True))))
    else:
        show.table(names, rows)


def _next(at: datetime | None) -> str:
    return "now" if at is None or at <= datetime.now(UTC) else show.time(at)
