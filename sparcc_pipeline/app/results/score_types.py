"""The content of `score.json` (schema `sparcc-score/1`) as types; the published schema is generated from them.

A field with a default was added after the first version: files of earlier versions lack it and stay readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from sparcc_pipeline.anatomy import Quadrant
from sparcc_pipeline.app.study.provenance import Provenance
from sparcc_pipeline.sparcc.points import points_given

SCHEMA: Final[Literal["sparcc-score/1"]] = "sparcc-score/1"

Status = Literal["scored", "unscorable", "rejected"]
SideName = Literal["right", "left"]
SliceRule = Literal["transitional slice", "user", "baseline"]
Contrast = Literal["STIR", "T1"]
ReferenceKind = Literal["presacral_vessels", "csf", "disc"]
FlagCode = Literal[
    "contrast", "bones", "one_joint", "turned", "field_of_view", "one_side_brighter", "ghosts", "noise", "shading"
]

Point = Annotated[int | None, Field(ge=0, le=1, description="0, 1, or null: not evaluable.")]
Value = Annotated[float | None, Field(ge=0)]
Probability = Annotated[float | None, Field(ge=0, le=1)]
Uid = Annotated[str | None, Field(description="A DICOM UID as the source has it; null for a NIfTI source.")]


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

    upper_iliac: Value = None
    lower_iliac: Value = None
    upper_sacral: Value = None
    lower_sacral: Value = None

    @classmethod
    def of(cls, values: Mapping[Quadrant, float | None], digits: int) -> QuadrantValues:
        """Return the values by the names of the quadrants, rounded."""
        rounded = {q.value: None if values[q] is None else round(values[q], digits) for q in Quadrant}  # type: ignore[arg-type]
        return cls(**rounded)

    @property
    def known(self) -> list[float]:
        """The values that were measured."""
        return [value for value in vars(self).values() if value is not None]


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
    ] = QuadrantValues()
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
            description="Signal that 2 mm2 of the scored edema reach, as a multiple of the reference signal (intense "
            "from 1); null without scored edema or reference."
        ),
    ]
    probability: Annotated[
        ItemProbabilities,
        Field(
            description="Probability that a reader gives each point; null where the item is not evaluable or the "
            "model cannot say."
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
        Field(description="Slices on which it was measured, 0-based from the most anterior one."),
    ] = ()


@dataclass(frozen=True, kw_only=True)
class FlagEntry:
    """Something about the images that makes the score less dependable."""

    code: FlagCode
    words: str
    value: Annotated[float | None, Field(description="What was measured; null where it is infinite.")]
    limit: Annotated[
        float, Field(description="The limit that it has passed (imaging/quality.py says where it comes from).")
    ]


@dataclass(frozen=True, kw_only=True)
class ScoreDocument:
    """The content of `score.json`: one field for each property of the published file, hence over ten.

    Not evaluable and not scored are None, never 0. `reason` and `warnings` are `message.Message` where this program
    made the document, so that reports show them in their language.

    Raises
    ------
    ValueError : the fields of a score are there without a score, or a score lacks one of them
    """

    schema: Literal["sparcc-score/1"]
    status: Status
    reason: Annotated[
        str | None, Field(description="Why there is no score: what was expected, what was found, what to do.")
    ]
    reason_kind: Annotated[str | None, Field(description="The kind of the reason, for programs; for instance NotStir.")]
    study_uid: Uid
    series_uid: Uid
    slices: tuple[SliceEntry, ...]
    joints: Annotated[tuple[JointEntry, ...], Field(description="Right then left on each of the six slices.")]
    edema: Annotated[int | None, Field(ge=0, le=48)]
    intensity: Annotated[int | None, Field(ge=0, le=12)]
    depth: Annotated[int | None, Field(ge=0, le=12)]
    total: Annotated[int | None, Field(ge=0, le=72, description="edema + intensity + depth.")]
    expected: Annotated[
        float | None,
        Field(
            ge=0,
            le=72,
            description="Mean of the distribution of a reader's total, given what the networks saw; null where the "
            "model cannot say.",
        ),
    ]
    interval_90: Annotated[
        tuple[int, int] | None,
        Field(
            description="[low, high]: a reader's total lies between them, both included, with at least 90 % by the "
            "model's calibration."
        ),
    ]
    probability_remission: Annotated[
        Probability, Field(description="Probability of a total below 2 (remission on MRI).")
    ]
    evaluable_maximum: Annotated[
        int | None,
        Field(ge=1, le=72, description="Largest total that could be reached: the number of evaluable items."),
    ]
    normal_marrow: Annotated[
        float | None,
        Field(
            description="Signal of sacral marrow away from the joints, in the units of the images; null where it was "
            "not measured."
        ),
    ]
    bones_from: Annotated[
        Annotated[tuple[Contrast, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True})] | None,
        Field(description="The contrasts on which the bones were found."),
    ]
    reference_signal: Annotated[
        ReferenceEntry | None,
        Field(
            description="Signal from which edema is intense, in the units of the images; null where it could not be "
            "measured."
        ),
    ]
    asas_positive: Annotated[
        bool | None,
        Field(description="Two quadrants with edema on one slice, or one on two consecutive slices."),
    ]
    coverage_mm: Annotated[float | None, Field(gt=0, description="Six times the distance of the slices.")]
    spacing_mm: Annotated[
        Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=3, max_length=3)] | None,
        Field(description="Distance of voxel centres along slices, rows, columns."),
    ]
    chosen_by: Annotated[SliceRule | None, Field(description="What chose the six slices.")]
    quality: Annotated[
        tuple[FlagEntry, ...],
        Field(
            description="What about the images makes the score less dependable; the words are among the warnings too. "
            "Absent in results of earlier versions."
        ),
    ] = ()
    warnings: tuple[str, ...]
    provenance: Provenance

    def __post_init__(self) -> None:
        of_a_score = (self.edema, self.intensity, self.depth, self.total, self.evaluable_maximum, self.asas_positive)
        scored = self.status == "scored"
        if any((value is not None) is not scored for value in of_a_score):
            raise ValueError(f"expected points if and only if a study is scored, found status {self.status!r}")
        if (len(self.slices), len(self.joints)) != ((6, 12) if scored else (0, 0)):
            raise ValueError(f"expected six slices with two joints each, or none, found {len(self.joints)} joints")
        if (self.reason is None) is not scored:
            raise ValueError(f"expected a reason if and only if there is no score, found status {self.status!r}")


def score_from_json(text: str | bytes) -> ScoreDocument:
    """Return the document that a `score.json` of this or an earlier version holds.

    Raises
    ------
    ValueError : it is no score
    """
    return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[ScoreDocument]:
    return TypeAdapter(ScoreDocument)
