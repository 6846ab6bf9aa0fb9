"""Words of a validation report in their languages."""

from __future__ import annotations

from typing import Final

from sparcc_pipeline.app.validation.figures.agreement import MEAN_OF_READERS
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.agreement.pairs import PairKind

ITEMS: Final = {
    "edema": Message("edema of quadrants"),
    "intense": Message("intensity"),
    "deep": Message("depth"),
    "asas": Message("ASAS-positive MRI"),
}

GROUPINGS: Final = {
    "scanner": Message("scanner"),
    "field strength": Message("field strength"),
    "slice spacing": Message("slice spacing"),
    "site": Message("site"),
    "size of the score": Message("size of the score"),
}
"""Names of the groupings; a finding holds them as a field."""

POOLED: Final = {
    PairKind.MACHINE: Message("machine and readers"),
    PairKind.BETWEEN: Message("reader and reader"),
    PairKind.WITHIN: Message("the same reader again"),
}

WITH_MEAN: Final = Message("machine and the mean of the readers")


def pair_name(kind: PairKind, first: str, second: str) -> Message:
    """Return the name of a comparison."""
    if first == MEAN_OF_READERS:
        return WITH_MEAN
    if not first:
        return POOLED[kind]
    if kind is PairKind.MACHINE:
        return Message("machine and {reader}", reader=first)
    if kind is PairKind.WITHIN:
        return Message("{reader} again", reader=first)
    return Message("{first} and {second}", first=first, second=second)
