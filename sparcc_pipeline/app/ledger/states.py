"""The states of a study version and the ways between them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """What became of a study version so far."""

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
"""Where a step that succeeds leads; each key is a state with a step."""

ASIDE: Final = (State.QUARANTINED, State.REJECTED, State.FAILED)
"""Where a study waits for a person, for its site, or for another attempt; it remembers the step that it waits for."""

_LEFT_FOR: Final = frozenset(
    # What a person decides about is found by intake or on delivery; scoring refuses or fails.
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
"""Every transition that the ledger makes; from aside only back to the step that the study waits for, or to `rejected`
by a person."""


class UploadState(StrEnum):
    """What became of an upload: of the files as they came."""

    RECEIVED = "received"
    SORTED = "sorted"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"


class ChangeState(StrEnum):
    """What became of the comparison of a follow-up with its baseline."""

    DUE = "due"
    MADE = "made"
    REFUSED = "refused"
    FAILED = "failed"
