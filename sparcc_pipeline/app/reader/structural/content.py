"""The content of a structural reading on T1, and the choice of the form by the kind of a reading.

Contents: `StructuralContent`, `StructuralTotals`, `fresh`, `missing`, `inflammation`, `is_structural`, `content_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Self, get_args

from pydantic import Field, StrictBool, StrictInt, model_validator

from sparcc_pipeline.app.reader.readings import content as form
from sparcc_pipeline.app.reader.readings.content import (
    LABELS,
    Comment,
    Content,
    JointName,
    Label,
    Model,
    NotEvaluable,
    Point,
    Quality,
)
from sparcc_pipeline.app.reader.web import refusal
from sparcc_pipeline.sparcc.slices import SLICES_SCORED
from sparcc_pipeline.trial.structural import STRUCTURAL_SLICES, Lesion, StructuralScore

STRUCTURAL: Final = "structural"
STRUCTURAL_THIRD: Final = "structural_third"
"""Kinds of readings, and of assignments, with the structural form: the two readers, and the third."""

STRUCTURAL_ITEMS: Final = tuple(f"{lesion}_{part}" for lesion in Lesion for part in lesion.parts)
_JOINTS: Final[tuple[JointName, ...]] = get_args(JointName)
_ORDER: Final = [(number, joint) for number in range(1, STRUCTURAL_SLICES + 1) for joint in _JOINTS]


class StructuralJoint(Model):
    """One joint on one of the five slices: twelve items, 1, 0, or None with a reason; `read` marks it as done."""

    slice: Annotated[StrictInt, Field(ge=1, le=STRUCTURAL_SLICES)]
    joint: JointName
    read: StrictBool = False
    fat_upper_iliac: Point = 0
    fat_lower_iliac: Point = 0
    fat_upper_sacral: Point = 0
    fat_lower_sacral: Point = 0
    erosion_upper_iliac: Point = 0
    erosion_lower_iliac: Point = 0
    erosion_upper_sacral: Point = 0
    erosion_lower_sacral: Point = 0
    backfill_upper: Point = 0
    backfill_lower: Point = 0
    ankylosis_upper: Point = 0
    ankylosis_lower: Point = 0
    reason: NotEvaluable | None = None

    def value(self, item: str) -> int | None:
        """Return the value of an item."""
        point: int | None = getattr(self, item)
        return point

    @property
    def complete(self) -> bool:
        """True if the joint is read, with a reason if and only if an item could not be evaluated."""
        unknown = any(self.value(item) is None for item in STRUCTURAL_ITEMS)
        return self.read and unknown == (self.reason is not None)


class StructuralVisit(Model):
    """One time point: the first of the five slices, ten joint slices, and answers about the whole."""

    first: Annotated[StrictInt, Field(ge=0, le=9999)]
    joints: Annotated[tuple[StructuralJoint, ...], Field(min_length=10, max_length=10)]
    image_quality: Quality | None = None
    comment: Comment = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if [(j.slice, j.joint) for j in self.joints] != _ORDER:
            raise ValueError("joints: slice 1 right, 1 left, 2 right, ... 5 left")
        return self

    @property
    def score(self) -> StructuralScore:
        """The reading as a score of the core."""
        return StructuralScore(
            {
                lesion: tuple(joint.value(f"{lesion}_{part}") for joint in self.joints for part in lesion.parts)
                for lesion in Lesion
            }
        )


class StructuralContent(Model):
    """The structural reading of a case: every time point by its label."""

    visits: Annotated[dict[Label, StructuralVisit], Field(min_length=1, max_length=len(LABELS))]
    comment: Comment = ""


class StructuralTotals(Model):
    """Totals of one time point; None, never 0, if no part is evaluable."""

    fat: int | None
    erosion: int | None
    backfill: int | None
    ankylosis: int | None
    evaluable_maximum: int

    @classmethod
    def of(cls, visit: StructuralVisit) -> Self:
        """Return the totals by the rules of the core."""
        score = visit.score
        totals = {lesion.value: score.total(lesion) for lesion in Lesion}
        return cls(**totals, evaluable_maximum=sum(score.maximum(lesion) for lesion in Lesion))


AnyContent = Content | StructuralContent


def is_structural(kind: str) -> bool:
    """Return True for a kind of reading with the structural form."""
    return kind in (STRUCTURAL, STRUCTURAL_THIRD)


def content_of(kind: str, text: str) -> AnyContent:
    """Return the stored content of a reading of this kind."""
    return (StructuralContent if is_structural(kind) else Content).model_validate_json(text)


def fresh(kind: str, proposed_first: Mapping[str, int]) -> AnyContent:
    """Return an empty reading of this kind; the five slices are the most posterior of the six proposed ones."""
    if not is_structural(kind):
        return Content(visits={label: form.blank(index) for label, index in proposed_first.items()})
    return StructuralContent(
        visits={
            label: StructuralVisit(
                first=index + SLICES_SCORED - STRUCTURAL_SLICES,
                joints=tuple(StructuralJoint(slice=n, joint=side) for n, side in _ORDER),
            )
            for label, index in proposed_first.items()
        }
    )


def inflammation(content: AnyContent) -> Content:
    """Return the content as one of inflammation, which training and revised readings have.

    Raises
    ------
    Refusal : it is a structural reading
    """
    if not isinstance(content, Content):
        raise refusal.invalid()
    return content


def missing(content: AnyContent) -> list[dict[str, Any]]:
    """Return the places that must be completed before a reading can be locked."""
    if isinstance(content, Content):
        return form.missing(content)
    found: list[dict[str, Any]] = []
    for label, visit in sorted(content.visits.items()):
        found += [{"label": label, "slice": j.slice, "joint": j.joint} for j in visit.joints if not j.complete]
        if visit.image_quality is None:
            found.append({"label": label, "field": "image_quality"})
        if any(joint.reason == "other" for joint in visit.joints) and not visit.comment.strip():
            found.append({"label": label, "field": "comment"})
    return found
