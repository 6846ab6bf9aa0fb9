"""The content of `change.json` (schema `sparcc-change/1`) as types; the published schema is generated from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from sparcc_pipeline.anatomy import Quadrant
from sparcc_pipeline.app.results.score_entries import Probability, SideName
from sparcc_pipeline.app.results.score_types import ScoreDocument
from sparcc_pipeline.app.study.provenance import Provenance
from sparcc_pipeline.sparcc.follow_up.change import SMALLEST_IMPORTANT_CHANGE

CHANGE_SCHEMA: Final[Literal["sparcc-change/1"]] = "sparcc-change/1"

FollowUpStatus = Literal["compared", "unscorable", "rejected", "failed"]
Direction = Literal["better", "worse", "unchanged"]

ItemChange = Annotated[int | None, Field(ge=-1, le=1)]
Millimetres = Annotated[float, Field(ge=0)]
Row = Annotated[tuple[float, ...], Field(min_length=4, max_length=4)]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The smallest changes of the total that count."""

    important: Annotated[float, Field(json_schema_extra={"const": SMALLEST_IMPORTANT_CHANGE})]
    detectable: Annotated[float, Field(gt=0, description="The machine's own smallest detectable change, in points.")]


@dataclass(frozen=True, kw_only=True)
class Movement:
    """In-plane shift of each slice against its neighbours."""

    largest_mm: float | None
    slices: tuple[Annotated[int, Field(ge=0)], ...]
    shift_mm: tuple[Millimetres, ...]


@dataclass(frozen=True, kw_only=True)
class T1Entry:
    """How far the person moved between STIR and T1."""

    series_uid: str | None
    same_frame_of_reference: bool
    moved_mm: float
    angle_degrees: float


@dataclass(frozen=True, kw_only=True)
class BaselineEntry:
    """The baseline of a comparison."""

    name: str
    score: ScoreDocument
    movement: Movement
    t1: T1Entry | None
    no_t1: str | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RegistrationEntry:
    """The rigid motion from baseline to follow-up, and how well it fits."""

    baseline_to_follow_up_lps: Annotated[
        tuple[Row, ...],
        Field(
            min_length=4,
            max_length=4,
            description="Homogeneous matrix: LPS mm in the baseline to LPS mm in the follow-up.",
        ),
    ]
    angle_degrees: float
    shift_mm: Annotated[
        tuple[float, ...], Field(min_length=3, max_length=3, description="Of the middle of the joints, LPS.")
    ]
    mutual_information: float
    mutual_information_before: float
    joint_line_mm: float
    bone_overlap: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class MatchedEntry:
    """The slice of a follow-up that shows what a baseline slice shows."""

    baseline: Annotated[int, Field(ge=0)]
    follow_up: Annotated[int | None, Field(ge=0)]
    overlap_mm: Millimetres
    offset_mm: float
    largest_offset_mm: Millimetres


@dataclass(frozen=True, kw_only=True)
class QuadrantChanges:
    """The change of the edema point of each quadrant of one joint-slice."""

    upper_iliac: ItemChange
    lower_iliac: ItemChange
    upper_sacral: ItemChange
    lower_sacral: ItemChange

    @classmethod
    def of(cls, changes: Mapping[Quadrant, int | None]) -> QuadrantChanges:
        """Return the changes by the names of the quadrants."""
        return cls(**{quadrant.value: changes[quadrant] for quadrant in Quadrant})


@dataclass(frozen=True, kw_only=True)
class JointChangeEntry:
    """The change of one joint on one slice of the baseline."""

    slice: Annotated[int, Field(ge=0, le=5)]
    side: SideName
    edema: QuadrantChanges
    intense: ItemChange
    deep: ItemChange
    points: Annotated[int, Field(ge=-6, le=6)]

    @property
    def items(self) -> dict[str, int | None]:
        """The change of the six points by name: four quadrants, `intense`, `deep`."""
        return {**vars(self.edema), "intense": self.intense, "deep": self.deep}


@dataclass(frozen=True, kw_only=True)
class ChangeEntry:
    """Follow-up minus baseline. It has one field for each property of the published file, hence eleven."""

    total: Annotated[int, Field(ge=-72, le=72)]
    edema: Annotated[int, Field(ge=-48, le=48)]
    intensity: Annotated[int, Field(ge=-12, le=12)]
    depth: Annotated[int, Field(ge=-12, le=12)]
    common_total: Annotated[
        int,
        Field(description="Change over the items that are evaluable at both visits, on slices that both show."),
    ]
    common_items: Annotated[int, Field(ge=0, le=72)]
    important: Annotated[bool, Field(description="At least the smallest important change.")]
    detectable: Annotated[bool, Field(description="At least the machine's own smallest detectable change.")]
    direction: Direction
    probability: Annotated[
        Probability,
        Field(description="That the true total moved in this direction; null where a score has no interval."),
    ]
    joints: Annotated[tuple[JointChangeEntry, ...], Field(min_length=12, max_length=12)]


@dataclass(frozen=True, kw_only=True)
class FollowUpEntry:
    """One follow-up. It has one field for each property of the published file, hence fourteen.

    Raises
    ------
    ValueError : it was compared and lacks a change, or the other way round
    """

    name: str
    status: FollowUpStatus
    reason: str | None
    reason_kind: str | None
    days: int | None
    score: ScoreDocument | None
    registration: RegistrationEntry | None
    tilt_degrees: float | None
    matched_slices: Annotated[tuple[MatchedEntry, ...], Field(max_length=6)]
    change: ChangeEntry | None
    movement: Movement | None
    t1: T1Entry | None
    no_t1: str | None
    warnings: tuple[str, ...]

    def __post_init__(self) -> None:
        compared = self.status == "compared"
        if any((part is not None) is not compared for part in (self.score, self.registration, self.change)):
            raise ValueError(f"expected a change if and only if a follow-up was compared, found {self.status!r}")


@dataclass(frozen=True, kw_only=True)
class ChangeDocument:
    """The content of `change.json`."""

    schema: Literal["sparcc-change/1"]
    limits: Limits
    baseline: BaselineEntry
    follow_ups: Annotated[tuple[FollowUpEntry, ...], Field(min_length=1)]
    provenance: Provenance
