"""The content of `score.json` (schema `sparcc-score/1`) as a type; the published schema is generated from it.

A field with a default was added after the first version: files of earlier versions lack it and stay readable.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from sparcc_pipeline.app.results.input_entry import InputEntry
from sparcc_pipeline.app.results.score_entries import (
    FlagEntry,
    JointEntry,
    Probability,
    ReferenceEntry,
    SliceEntry,
    Uid,
)
from sparcc_pipeline.app.study.provenance import Provenance

SCHEMA: Final[Literal["sparcc-score/1"]] = "sparcc-score/1"

Status = Literal["scored", "unscorable", "rejected"]
SliceRule = Literal["transitional slice", "user", "baseline"]
Contrast = Literal["STIR", "T1"]


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
            "model is not calibrated.",
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
        Field(
            description="Two lesions on one slice, or one on two consecutive slices; a lesion is a connected piece of "
            "edema of one bone."
        ),
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
    asas_probability: Annotated[
        Probability,
        Field(
            description="Probability of `asas_positive` for a reader; null where the model is not calibrated, absent "
            "in earlier versions."
        ),
    ] = None
    definite_lesion: Annotated[
        bool | None,
        Field(
            description="Definite active lesion (ASAS, data-driven): edema in four quadrants anywhere, or in one "
            "quadrant on three consecutive slices; absent in earlier versions."
        ),
    ] = None
    definite_lesion_probability: Annotated[
        Probability, Field(description="Probability of `definite_lesion` for a reader, as `asas_probability`.")
    ] = None
    notes: Annotated[
        tuple[str, ...],
        Field(description="Facts that need no action. Absent in results of earlier versions."),
    ] = ()
    input: Annotated[
        InputEntry | None,
        Field(description="Every file of the study and its use; null without DICOM files, absent in earlier versions."),
    ] = None
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
