"""The parts of `score.json` as types: slices, joints, reference signal, flags.

A field with a default was added after the first version: files of earlier versions lack it and stay readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from sparcc_pipeline.anatomy import Quadrant
from sparcc_pipeline.sparcc.points import points_given
from sparcc_pipeline.volume import slice_number

SideName = Literal["right", "left"]
ReferenceKind = Literal["presacral_vessels", "csf", "disc"]
FlagCode = Literal[
    "contrast", "bones", "one_joint", "turned", "field_of_view", "one_side_brighter", "ghosts", "noise", "shading"
]

Point = Annotated[int | None, Field(ge=0, le=1, description="0, 1, or null: not evaluable.")]
Value = Annotated[float | None, Field(ge=0)]
Probability = Annotated[float | None, Field(ge=0, le=1)]
Uid = Annotated[str | None, Field(description="A DICOM UID as the source has it; null for a NIfTI source.")]


def rounded(value: float | None, digits: int) -> float | None:
    """Return a value rounded; None stays None."""
    return None if value is None else round(value, digits)


@dataclass(frozen=True, kw_only=True)
class QuadrantPoints:
    """The edema point of each quadrant of one joint-slice."""

    upper_iliac: Point
    lower_iliac: Point
    upper_sacral: Point
    lower_sacral: Point

    @classmethod
    def of(cls, points: Mapping[Quadrant, int | None]) -> QuadrantPoints:
        """Return the points by the names of the quadrants."""
        return cls(**{quadrant.value: points[quadrant] for quadrant in Quadrant})


@dataclass(frozen=True, kw_only=True)
class QuadrantValues:
    """A measured value of each quadrant of one joint-slice; None where it was not measured."""

    upper_iliac: Value
    lower_iliac: Value
    upper_sacral: Value
    lower_sacral: Value

    @classmethod
    def of(cls, values: Mapping[Quadrant, float | None], digits: int) -> QuadrantValues:
        """Return the values by the names of the quadrants, rounded."""
        return cls(**{quadrant.value: rounded(values[quadrant], digits) for quadrant in Quadrant})

    @property
    def known(self) -> list[float]:
        """The values that were measured."""
        return [value for value in vars(self).values() if value is not None]


_NOT_MEASURED: Final = QuadrantValues.of(dict.fromkeys(Quadrant), 0)


@dataclass(frozen=True, kw_only=True)
class ItemProbabilities:
    """The probability of each of the six points of one joint-slice; None where it is not known."""

    upper_iliac: Probability
    lower_iliac: Probability
    upper_sacral: Probability
    lower_sacral: Probability
    intense: Probability
    deep: Probability


@dataclass(frozen=True, kw_only=True)
class SliceEntry:
    """One of the six slices."""

    slice_index: Annotated[int, Field(ge=0, description="0-based from the most anterior slice of the series.")]
    sop_instance_uid: Uid
    frame_number: Annotated[int | None, Field(ge=1, description="1-based, in a multi-frame image; null otherwise.")]
    position_mm: Annotated[
        float, Field(description="Signed distance along the normal of the slices, growing posteriorly.")
    ]
    instance_number: Annotated[
        int | None,
        Field(
            description="InstanceNumber as viewers show it; null where the source has none, absent in earlier versions."
        ),
    ] = None

    @property
    def number(self) -> int:
        """The number of the slice that people read: 1 is the most anterior slice."""
        return slice_number(self.slice_index)


@dataclass(frozen=True, kw_only=True)
class JointEntry:
    """One joint on one of the six slices. It has one field for each property of the published file, hence twelve."""

    slice: Annotated[int, Field(ge=0, le=5, description="Place within the six, anterior to posterior.")]
    side: Annotated[SideName, Field(description="The patient's side.")]
    edema: QuadrantPoints
    intense: Point
    deep: Point
    height_mm: Annotated[Value, Field(description="Visible height of the joint; null where it is not visible.")]
    depth_mm: Annotated[
        Value,
        Field(description="Largest depth of scored edema from the articular surface; null where not evaluable."),
    ]
    edema_mm2: Annotated[QuadrantValues, Field(description="Area of edema in each quadrant; null where not evaluable.")]
    marrow_signal: Annotated[
        QuadrantValues,
        Field(
            description="Signal of normal marrow of the sacrum at the height of the edema of each quadrant, or of the "
            "quadrant where it has none; null where not evaluable."
        ),
    ] = _NOT_MEASURED
    signal_over_marrow: Annotated[
        QuadrantValues,
        Field(
            description="Median signal of the edema in each quadrant as a multiple of normal marrow at the same "
            "height; null without edema."
        ),
    ]
    signal_over_reference: Annotated[
        Value,
        Field(
            description="Smoothed signal that 2 mm2 of the scored edema reach, as a multiple of the reference signal "
            "(intense from 1); null without scored edema or reference."
        ),
    ]
    probability: Annotated[
        ItemProbabilities,
        Field(
            description="Probability that a reader gives each point; null where the item is not evaluable or the "
            "model is not calibrated."
        ),
    ]

    @property
    def items(self) -> dict[str, int | None]:
        """The six points by name: four quadrants, `intense`, `deep`."""
        return {**vars(self.edema), "intense": self.intense, "deep": self.deep}

    @property
    def points(self) -> int:
        """All points of this joint-slice, 0-6."""
        return points_given(self.items.values())


@dataclass(frozen=True, kw_only=True)
class ReferenceEntry:
    """The reference signal of intensity."""

    kind: Annotated[
        ReferenceKind,
        Field(
            description="Tissue that was measured: presacral vessels, else cerebrospinal fluid, else the nucleus of "
            "the L5-S1 disc."
        ),
    ]
    value: float
    slices: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...],
        Field(min_length=1, description="Slices on which it was measured, 0-based from the most anterior one."),
    ] = ()
    doubts: Annotated[
        tuple[str, ...],
        Field(
            description="Why the vessels may be something else; intensity is then unsure, and its probabilities are a "
            "mean over `range`. Absent in earlier versions."
        ),
    ] = ()
    range: Annotated[
        tuple[float, float] | None,
        Field(description="[low, high] of the true signal; null where there is no doubt. Absent in earlier versions."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class FlagEntry:
    """Something about the images that makes the score less dependable."""

    code: FlagCode
    words: str
    value: Annotated[float | None, Field(description="What was measured; null where it is infinite.")]
    limit: Annotated[float, Field(description="The limit that it has passed (its source is in imaging/quality.py).")]
