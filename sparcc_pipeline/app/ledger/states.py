"""The states of a study version and the transitions between them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """The state of a study version."""

    RECEIVED = "received"
    COMPLETE = "complete"
    DEIDENTIFIED = "deidentified"
    SCORED = "scored"
    DELIVERED = "delivered"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"
    FAILED = "failed"


NEXT: Final[Mapping[State, State]] = {
    State.RECEIVED: State.COMPLETE,
    State.COMPLETE: State.DEIDENTIFIED,
    State.DEIDENTIFIED: State.SCORED,
    State.SCORED: State.DELIVERED,
}
"""The state after a successful step; each key is a state with a step."""

ASIDE: Final = (State.QUARANTINED, State.REJECTED, State.FAILED)
"""States in which a study waits for a person, its site, or another attempt. It keeps the step that comes next."""

_LEFT_FOR: Final = frozenset(
    # Only intake and delivery ask a person to decide; scoring rejects or fails.
    {(state, aside) for state in NEXT for aside in ASIDE} - {(State.DEIDENTIFIED, State.QUARANTINED)}
)

TRANSITIONS: Final = frozenset(
    {
        *NEXT.items(),
        *_LEFT_FOR,
        *((aside, state) for state, aside in _LEFT_FOR),
        (State.QUARANTINED, State.REJECTED),
        (State.FAILED, State.REJECTED),
    }
)
"""Every transition in the ledger. From `ASIDE` a study goes back to its next step, or a person rejects it."""


class UploadState(StrEnum):
    """The state of an upload: of the files as they came."""

    RECEIVED = "received"
    SORTED = "sorted"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"


class ChangeState(StrEnum):
    """The state of the comparison of a follow-up with its baseline."""

    DUE = "due"
    MADE = "made"
    REFUSED = "refused"
    FAILED = "failed"
