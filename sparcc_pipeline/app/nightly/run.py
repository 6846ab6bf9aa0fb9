"""`sparcc nightly run` and `sparcc nightly watch`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import typer

from sparcc_pipeline.app.ledger.database import close_to_others, open_database
from sparcc_pipeline.app.ledger.ledger import Ledger
from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.app.nightly.logs import open_log
from sparcc_pipeline.app.nightly.morning.report import write_report
from sparcc_pipeline.app.nightly.process import stopped_by_signals
from sparcc_pipeline.app.nightly.settings import NightlySettings, load_settings
from sparcc_pipeline.app.nightly.work.night import Night, Part
from sparcc_pipeline.app.nightly.work.outcome import Context
from sparcc_pipeline.app.nightly.work.owner import this_process
from sparcc_pipeline.app.nightly.work.reasons import failure_of
from sparcc_pipeline.app.nightly.work.recording import Tally
from sparcc_pipeline.app.nightly.work.steps import real_steps
from sparcc_pipeline.app.nightly.work.workers import DaskWorkers
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.dicom.input.elements import silence_libraries
from sparcc_pipeline.errors import OutputError, SparccError

SECONDS_BETWEEN_REPORTS: Final = 3600.0
"""How old the report may be while nothing moves."""

FAILED_CODE: Final = OutputError.exit_code

_SUMMARIZED: Final = (State.SCORED, State.DELIVERED, State.QUARANTINED, State.REJECTED, State.FAILED)


@contextmanager
def open_context(settings: NightlySettings, program: str) -> Iterator[Context]:
    """Open the ledger, and yield the context of every step.

    Raises
    ------
    ConfigError, OutputError : the ledger or the work folder is not usable
    """
    silence_libraries()
    engine = open_database(settings.database_url)
    try:
        close_to_others(engine)
        ledger = Ledger(engine, utc_now, settings.database.patience_seconds)
        yield Context(settings, ledger, utc_now, open_log(settings, utc_now, program))
    finally:
        engine.dispose()


def run_night(file: Path, part: Part) -> int:
    """Do everything that is due, write the report and return the exit code.

    Returns
    -------
    0 if every study has a result or waits for a person or its site; 6 if some failed and are tried again; the code of
    the error if something other than a study failed

    Raises
    ------
    ConfigError, OutputError : the settings or the ledger are not usable, or the ledger was lost
    """
    settings, stop = load_settings(file), threading.Event()
    with open_context(settings, "run") as context, stopped_by_signals(stop), ExitStack() as ends:
        workers = DaskWorkers(settings.run)
        ends.callback(workers.close)
        night = Night(context, real_steps(), workers, this_process(), stop, part)
        tally = night.run()
        workers.close()
        problems = list(night.problems)
        if part != Part.INTAKE:
            try:
                typer.echo(f"Report: {write_report(context, [failure_of(each) for each in problems])}")
            except Exception as error:
                context.log("the report was not written", error=error)
                problems.append(error)
        code = _code(tally, problems)
        context.ledger.record_problems(this_process(), part.value, [failure_of(each) for each in problems])
        context.ledger.record_run(this_process(), {**tally.as_facts(), "exit_code": code})
        for line in _summary(tally, problems):
            typer.echo(line)
    return code


def watch_night(file: Path, part: Part, *, receive: bool) -> None:
    """Work until SIGTERM or Ctrl-C; studies in the workers are finished first.

    Parameters
    ----------
    receive : also run the DICOM node

    Raises
    ------
    ConfigError, OutputError : the settings or the ledger are not usable at the start
    """
    settings, stop = load_settings(file), threading.Event()
    with open_context(settings, "watch") as context, stopped_by_signals(stop), ExitStack() as ends:
        if receive:
            from sparcc_pipeline.app.nightly.intake.receiving import serve

            receiver = serve(settings, utc_now, context.log)
            ends.callback(receiver.stop)
            typer.echo(f"Receiving as {settings.receive.ae_title} on {settings.receive.host}, port {receiver.port}")
        workers = DaskWorkers(settings.run)
        ends.callback(workers.close)
        night = Night(context, real_steps(), workers, this_process(), stop, part)
        reporter = _Reporter(context, part)
        context.log("watch begins")
        while not stop.is_set():
            try:
                tally = night.round()
                reporter.report(tally, night.problems)
            except Exception as error:
                # The ledger or the report failed: the service continues.
                context.log("the round was not finished", error=error)
                tally = Tally()
            if not tally.moved:
                workers.close()
                stop.wait(settings.run.poll_seconds)
        context.log("watch ends")


class _Reporter:
    """Writes the report when a study moved or a problem came or ended, and at least every hour."""

    def __init__(self, context: Context, part: Part) -> None:
        self._context, self._part = context, part
        self._written: datetime | None = None
        self._problems: list[str] = []

    def report(self, tally: Tally, problems: Sequence[Exception]) -> None:
        found = [failure_of(each) for each in problems]
        self._context.ledger.record_problems(this_process(), self._part.value, found)
        if self._part == Part.INTAKE:
            return
        time = self._context.clock()
        age = None if self._written is None else abs((time - self._written).total_seconds())
        if tally.moved or found != self._problems or age is None or age > SECONDS_BETWEEN_REPORTS:
            write_report(self._context, found)
            self._written, self._problems = time, list(found)


def _code(tally: Tally, problems: Sequence[Exception]) -> int:
    codes = [each.exit_code if isinstance(each, SparccError) else SparccError.exit_code for each in problems]
    return codes[0] if codes else FAILED_CODE if tally.failed else 0


def _summary(tally: Tally, problems: Sequence[Exception]) -> list[str]:
    """Return a few lines for the log of cron."""
    states = ", ".join(f"{tally.states[state]} {state}" for state in _SUMMARIZED if tally.states[state])
    changes = ", ".join(f"{count} {state}" for state, count in tally.changes.items() if count)
    lines = [f"Studies: {states or 'none was scored or set aside'}", *([f"Changes: {changes}"] if changes else [])]
    return [*(f"Problem: {failure_of(each)}" for each in problems), *lines]
