"""The outcome of a step of the night, and the context that each step gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.message import Message

if TYPE_CHECKING:
    # The DICOM node logs, and loads no ledger.
    from sparcc_pipeline.app.ledger.ledger import Ledger, StudyVersion

Clock = Callable[[], datetime]
"""Returns the time now, UTC."""

Log = Callable[..., None]
"""`log(event, **fields)` writes one structured line; fields are codes, numbers and states, never identity."""


@dataclass(frozen=True)
class Context:
    """The context of every step.

    Parameters
    ----------
    clock : returns the time now, UTC; a step uses no other clock
    log : writes one structured line
    """

    settings: NightlySettings
    ledger: Ledger
    clock: Clock
    log: Log


@dataclass(frozen=True)
class Done:
    """The study moves to its next state; `facts` are added to its facts."""

    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NotYet:
    """Nothing is wrong: check again at `until`, for instance after a quiet period. It is no attempt."""

    until: datetime


@dataclass(frozen=True)
class Quarantined:
    """A person must decide, for this `reason`."""

    reason: Message
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rejected:
    """The site must send something else, for this `reason`."""

    reason: Message
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """Another attempt may succeed: a disk, a network or a PACS failed."""

    reason: Message
    facts: Mapping[str, Any] = field(default_factory=dict)


Outcome = Done | NotYet | Quarantined | Rejected | Failed

Step = Callable[[Context, "StudyVersion"], Outcome]
"""One step of one study. An InputError becomes `Rejected`, any other error `Failed`; of errors outside `SparccError`
only kind and place are kept, never the text. Steps must be idempotent: one that crashed runs again."""
