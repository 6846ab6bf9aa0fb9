"""Records the outcome of each step in the ledger."""

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
from sparcc_pipeline.app.nightly.settings_tables import RunSettings
from sparcc_pipeline.app.nightly.work.outcome import Context, Done, Failed, NotYet, Outcome, Quarantined, Rejected, Step
from sparcc_pipeline.app.nightly.work.reasons import failure_of, kind_of, refused_because
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.message import words_of

_SOONEST: Final = timedelta(seconds=1)
"""The shortest delay before a postponed study is checked again."""


@dataclass
class Tally:
    """How many studies and changes came to each state."""

    states: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)

    @property
    def moved(self) -> int:
        """How many studies and changes changed their state."""
        return self.states.total() + self.changes.total()

    @property
    def failed(self) -> int:
        """How many attempts failed."""
        return self.states[State.FAILED] + self.changes["failed"]

    def as_facts(self) -> dict[str, dict[str, int]]:
        """Return the counts as the ledger keeps them."""
        return {"studies": dict(+self.states), "changes": dict(+self.changes)}

    def add(self, other: Tally) -> None:
        """Add the counts of another tally."""
        self.states.update(other.states)
        self.changes.update(other.changes)


def outcome_of(step: Callable[[], Outcome]) -> Outcome:
    """Run a step and return its outcome; an error becomes `Rejected` or `Failed`.

    LedgerLostError, KeyboardInterrupt and SystemExit propagate.
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
    """Run one step of one claimed study and record its outcome."""
    outcome = outcome_of(lambda: step(context, version))
    record_outcome(context, version, outcome, tally)
    return outcome


def record_outcome(context: Context, version: StudyVersion, outcome: Outcome, tally: Tally) -> None:
    """Record the outcome of a claimed study; do nothing if another worker holds the study."""
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
    place, attempt = version.site, version.attempts
    context.log("study moved", study=version.id, site=place, from_state=before, state=state, attempt=attempt)


def next_try(settings: RunSettings, attempts: int, now: datetime) -> datetime | None:
    """Return the time of the next attempt; each wait is twice the one before. None: a person must start it."""
    if attempts >= settings.attempts:
        return None
    doubled: int = 2 ** (attempts - 1)
    return now + min(timedelta(minutes=settings.retry_minutes) * doubled, LONGEST_WAIT)
