"""What a step of the night says of a study, and what it gets to work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.message import Message

if TYPE_CHECKING:
    # The DICOM node logs, and knows no ledger.
    from sparcc_pipeline.app.ledger.ledger import Ledger, StudyVersion

Clock = Callable[[], datetime]
"""The time now, UTC."""

Log = Callable[..., None]
"""`log(event, **fields)`: one structured line; fields are codes, numbers and states, never identity."""


@dataclass(frozen=True)
class Context:
    """What every step gets.

    Parameters
    ----------
    clock : the time now, UTC; a step asks it and no other
    log : one structured line
    """

    settings: NightlySettings
    ledger: Ledger
    clock: Clock
    log: Log


@dataclass(frozen=True)
class Done:
    """The study goes on to its next state; `facts` are added to its own."""

    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NotYet:
    """Nothing is wrong: look again at `until` (a quiet period that is not over). It is no attempt."""

    until: datetime


@dataclass(frozen=True)
class Quarantined:
    """A person must decide: `reason` says what about."""

    reason: Message
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rejected:
    """The site must send something else: `reason` says what."""

    reason: Message
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """It may succeed when it is tried again: a disk, a network, a PACS."""

    reason: Message
    facts: Mapping[str, Any] = field(default_factory=dict)


Outcome = Done | NotYet | Quarantined | Rejected | Failed

Step = Callable[[Context, "StudyVersion"], Outcome]
"""One step of one study. It may raise: a `SparccError` becomes `Rejected` (InputError) or `Failed` (all others), any
other exception `Failed` with its kind and place, never its words. It is run again after a crash at any point of it:
what it leaves behind must not be in its own way."""
