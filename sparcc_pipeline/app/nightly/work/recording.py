"""From what a step says to what the ledger records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sparcc_pipeline.app.ledger.leases import LONGEST_WAIT, LeaseLostError
from sparcc_pipeline.app.ledger.ledger import StudyVersion
from sparcc_pipeline.app.ledger.session import LedgerLostError
from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.app.nightly.settings import RunSettings
from sparcc_pipeline.app.nightly.work.outcome import Context, Done, Failed, NotYet, Outcome, Quarantined, Rejected, Step
from sparcc_pipeline.app.nightly.work.reasons import failure_of, kind_of, refused_because
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.message import words_of

_SOONEST: Final = timedelta(seconds=1)
"""A study that was looked at is not looked at again in the same breath."""


@dataclass
class Tally:
    """What one call did: how many studies came to each state, and how many changes."""

    states: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)

    @property
    def moved(self) -> int:
        """How many studies and changes went on, whichever way."""
        return self.states.total() + self.changes.total()

    @property
    def failed(self) -> int:
        """How many attempts failed."""
        return self.states[State.FAILED] + self.changes["failed"]

    def as_facts(self) -> dict[str, dict[str, int]]:
        """As the ledger keeps it."""
        return {"studies": dict(+self.states), "changes": dict(+self.changes)}

    def add(self, other: Tally) -> None:
        """Count what another call did as well."""
        self.states.update(other.states)
        self.changes.update(other.changes)


def outcome_of(step: Callable[[], Outcome]) -> Outcome:
    """What a step says; an error that it raises is what the study's state will be.

    What says that the ledger is lost, Ctrl-C and the end of the process pass.
    """
    try:
        return step()
    except LedgerLostError:
        raise
    except InputError as error:
        return Rejected(refused_because(words_of(error)), {"reason_kind": kind_of(error)})
    except Exception as error:
        return Failed(failure_of(error), {"reason_kind": kind_of(error)})


def run_step(context: Context, version: StudyVersion, step: Step, tally: Tally) -> Outcome:
    """One step of one claimed study, and its line in the ledger."""
    outcome = outcome_of(lambda: step(context, version))
    settle(context, version, outcome, tally)
    return outcome


def settle(context: Context, version: StudyVersion, outcome: Outcome, tally: Tally) -> None:
    """Record what became of a claimed study; of one that was given to another worker in the meantime nothing is."""
    ledger, before = context.ledger, version.state
    try:
        match outcome:
            case NotYet(until):
                ledger.postpone(version, max(until, context.clock() + _SOONEST))
                return
            case Done(facts):
                state = ledger.finish(version, facts).state
            case Quarantined(reason, facts):
                state = ledger.quarantine(version, reason, facts).state
            case Rejected(reason, facts):
                state = ledger.reject(version, reason, facts).state
            case Failed(reason, facts):
                again = next_try(context.settings.run, version.attempts, context.clock())
                state = ledger.fail(version, reason, again, facts).state
    except LeaseLostError:
        context.log("lease lost", study=version.id, site=version.site, from_state=before)
        return
    tally.states[state] += 1
    context.log("study moved", study=version.id, site=version.site, from_state=before, state=state,
                attempt=version.attempts)  # fmt: skip


def next_try(settings: RunSettings, attempts: int, now: datetime) -> datetime | None:
    """When to try again after so many attempts: each wait is twice the one before; None: a person must say so."""
    if attempts >= settings.attempts:
        return None
    doubled: int = 2 ** (attempts - 1)
    return now + min(timedelta(minutes=settings.retry_minutes) * doubled, LONGEST_WAIT)
