"""The content of a reading: the form, its rules, and its totals by the score of the core.

Contents: `Content`, `VisitReading`, `JointReading`, `Totals`, `blank`, `impossible`, `missing`, `points`, `changes`.
The page sends and receives these models; the rules are checked here, independently of the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, model_validator

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore
from sparcc_pipeline.sparcc.slices import SLICES_SCORED, SixSlices

LONGEST_COMMENT: Final = 2000
LABELS: Final = "ABCDEFGH"

NO_NUL: Final = r"^[^\x00]*$"
"""Text that every database can hold."""

Label = Annotated[str, Field(pattern=r"^[A-H]$")]
Comment = Annotated[str, Field(max_length=LONGEST_COMMENT, pattern=NO_NUL)]
JointName = Literal["right", "left"]
Item = Literal["upper_iliac", "lower_iliac", "upper_sacral", "lower_sacral", "intense", "deep"]
Quality = Literal["good", "adequate", "poor"]
NotEvaluable = Literal["joint_not_visible", "joint_too_short", "artefact", "outside_image", "other"]
Point = Annotated[StrictInt, Field(ge=0, le=1)] | None

QUADRANT_ITEMS: Final[tuple[Item, ...]] = ("upper_iliac", "lower_iliac", "upper_sacral", "lower_sacral")
ITEMS: Final[tuple[Item, ...]] = (*QUADRANT_ITEMS, "intense", "deep")
REASONS: Final[tuple[NotEvaluable, ...]] = (
    "joint_not_visible",
    "joint_too_short",
    "artefact",
    "outside_image",
    "other",
)
QUALITIES: Final[tuple[Quality, ...]] = ("good", "adequate", "poor")


class Model(BaseModel):
    """Base of all models of the page: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class JointReading(Model):
    """One joint on one of the six slices: 1, 0, or None with a reason if not evaluable; `read` marks it as done."""

    slice: Annotated[StrictInt, Field(ge=1, le=SLICES_SCORED)]
    joint: JointName
    read: StrictBool = False
    upper_iliac: Point = 0
    lower_iliac: Point = 0
    upper_sacral: Point = 0
    lower_sacral: Point = 0
    intense: Point = 0
    deep: Point = 0
    reason: NotEvaluable | None = None

    def value(self, item: str) -> int | None:
        """Return the value of an item."""
        point: int | None = getattr(self, item)
        return point

    @property
    def impossible(self) -> list[str]:
        """Impossible items: intense or deep edema without edema."""
        edema = any(self.value(item) == 1 for item in QUADRANT_ITEMS)
        return [] if edema else [item for item in ("intense", "deep") if self.value(item) == 1]

    @property
    def complete(self) -> bool:
        """True if the joint is read, with a reason if and only if an item could not be evaluated."""
        unknown = any(self.value(item) is None for item in ITEMS)
        return self.read and unknown == (self.reason is not None)


class VisitReading(Model):
    """One time point: the first of the six slices, twelve joint slices, and answers about the whole."""

    first: Annotated[StrictInt, Field(ge=0, le=9999)]
    joints: Annotated[tuple[JointReading, ...], Field(min_length=12, max_length=12)]
    asas_positive: StrictBool | None = None
    image_quality: Quality | None = None
    comment: Comment = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if [(j.slice, j.joint) for j in self.joints] != _ORDER:
            raise ValueError("joints: slice 1 right, 1 left, 2 right, ... 6 left")
        return self

    @property
    def score(self) -> SparccScore:
        """The reading as a score of the core."""
        return SparccScore(
            SixSlices(self.first, "user"),
            tuple(
                JointSliceScore(
                    slice=j.slice - 1,
                    side=Side(j.joint),
                    edema={quadrant: j.value(quadrant.value) for quadrant in Quadrant},
                    intense=j.intense,
                    deep=j.deep,
                    height_mm=None,
                    depth_mm=None,
                )
                for j in self.joints
            ),
            None,
        )


class Content(Model):
    """The reading of a case: every time point by its label."""

    visits: Annotated[dict[Label, VisitReading], Field(min_length=1, max_length=len(LABELS))]
    comment: Comment = ""


class Totals(Model):
    """Totals of one time point; `total` is None, never 0, if nothing could be evaluated."""

    total: int | None
    edema: int
    intensity: int
    depth: int
    evaluable_maximum: int
    asas_positive: bool

    @classmethod
    def of(cls, visit: VisitReading) -> Self:
        """Return the totals by the rules of the core."""
        score = visit.score
        return cls(
            total=score.total if score.evaluable_maximum else None,
            edema=score.edema,
            intensity=score.intensity,
            depth=score.depth,
            evaluable_maximum=score.evaluable_maximum,
            asas_positive=score.asas_positive,
        )


_JOINTS: Final[tuple[JointName, ...]] = ("right", "left")
_ORDER: Final = [(number, joint) for number in range(1, SLICES_SCORED + 1) for joint in _JOINTS]


def blank(first: int) -> VisitReading:
    """Return an empty reading of a time point."""
    return VisitReading(first=first, joints=tuple(JointReading(slice=n, joint=side) for n, side in _ORDER))


def impossible(content: Content) -> list[dict[str, Any]]:
    """Return the places of impossible items in a reading."""
    return [
        {"label": label, "slice": joint.slice, "joint": joint.joint, "item": item}
        for label, visit in sorted(content.visits.items())
        for joint in visit.joints
        for item in joint.impossible
    ]


def missing(content: Content) -> list[dict[str, Any]]:
    """Return the places that must be completed before a reading can be locked."""
    found: list[dict[str, Any]] = []
    for label, visit in sorted(content.visits.items()):
        found += [{"label": label, "slice": j.slice, "joint": j.joint} for j in visit.joints if not j.complete]
        found += [
            {"label": label, "field": name}
            for name in ("asas_positive", "image_quality")
            if getattr(visit, name) is None
        ]
        if any(joint.reason == "other" for joint in visit.joints) and not visit.comment.strip():
            found.append({"label": label, "field": "comment"})
    return found


def points(content: Content) -> Iterator[tuple[str, int, JointName, Item, int | None]]:
    """Yield every item: label, slice 1-6, joint, item, value."""
    for label, visit in sorted(content.visits.items()):
        for joint in visit.joints:
            for item in ITEMS:
                yield label, joint.slice, joint.joint, item, joint.value(item)


def changes_read_slice(old: Content, new: Content) -> bool:
    """Return True if a slice that was marked as read differs in the new content, or was moved."""
    for label, visit in old.visits.items():
        after = new.visits[label]
        read = [(before, now) for before, now in zip(visit.joints, after.joints, strict=True) if before.read]
        if any(before != now for before, now in read) or (read and after.first != visit.first):
            return True
    return False


def changes(old: Model, new: Model) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the differences for the audit trail: old and new values by their place."""
    before, after = dict(_flat(old.model_dump())), dict(_flat(new.model_dump()))
    names = [name for name in after if after[name] != before.get(name)]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    match value:
        case {"slice": number, "joint": joint, **rest}:
            yield from _flat(rest, f"{place.rpartition('.')[0]}.{number}.{joint}")
        case dict():
            for name, each in value.items():
                yield from _flat(each, f"{place}.{name}" if place else str(name))
        case list() | tuple():
            for number, each in enumerate(value):
                yield from _flat(each, f"{place}.{number}")
        case _:
            yield place, value
