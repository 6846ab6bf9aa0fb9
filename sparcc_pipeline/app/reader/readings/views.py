"""Models of everything that a reader can see.

Before lock a reader sees `CaseView`, which has no field that unblinds: no identity, site, arm, visit, date, order of
visits, file name, UID or score of the machine. `SecondOpinionView` exists after lock only.
"""

from __future__ import annotations

from typing import Literal

from sparcc_pipeline.app.reader.readings.content import Comment, Content, Item, JointName, Label, Model, Totals
from sparcc_pipeline.app.reader.structural.content import StructuralContent, StructuralTotals

SecondOpinionState = Literal["off", "later", "available", "opened", "filed"]
Mode = Literal["primary", "adjudication", "training", "structural", "structural_third"]
ReadingKind = Literal["primary", "adjudication", "training", "revised", "structural", "structural_third"]
Polygon = list[tuple[float, float]]


class SeriesView(Model):
    """One stack of slices: size, spacing (slices, rows, columns), window, and the matrix to indices of STIR."""

    slices: int
    rows: int
    columns: int
    spacing_mm: tuple[float, float, float]
    window: tuple[int, int]
    range: tuple[int, int]
    to_stir: list[list[float]] | None


class JointView(Model):
    """The position of one joint on one slice, without its score. Points are (row, column) in pixels."""

    slice_index: int
    joint: JointName
    height_mm: float
    line: Polygon
    quadrants: dict[str, list[Polygon]]


class SeriesPair(Model):
    """STIR, and T1 if there is one."""

    stir: SeriesView
    t1: SeriesView | None


class ImagesView(Model):
    """The stored images of one time point, without a label, because each reader has other labels."""

    series: SeriesPair
    stir_to_t1: list[int | None] | None
    t1_to_stir: list[int | None] | None
    proposed_first: int
    centre: tuple[float, float, float]
    joints: list[JointView]


class VisitView(ImagesView):
    """One time point with its label.

    `proposed` is false where no machine proposed the six slices; `level` is the matrix from the indices of the first
    time point of the page that has one, None without a registration.
    """

    label: Label
    proposed: bool
    level: list[list[float]] | None


class ReasonedChange(Model):
    """The reason for a point of a revised reading that differs from the primary reading."""

    label: Label
    slice: int
    joint: JointName
    item: Item
    reason: Comment


class ReadingState(Model):
    """A saved reading with its totals."""

    kind: ReadingKind
    version: int
    state: Literal["open", "locked"]
    revision: int
    saved_at: str
    locked_at: str | None
    content: Content | StructuralContent
    totals: dict[Label, Totals | StructuralTotals]
    reasons: list[ReasonedChange] = []


class EarlierVersion(Model):
    """A locked reading that a correction replaced, and the reason."""

    version: int
    locked_at: str
    reason: str


class CaseView(Model):
    """All data of a case that the page receives before the reading is locked."""

    code: str
    mode: Mode
    second_opinion: SecondOpinionState
    may_correct: bool
    visits: list[VisitView]
    reading: ReadingState
    earlier: list[EarlierVersion]
    reasons: tuple[str, ...]
    qualities: tuple[str, ...]


class Difference(Model):
    """An item on which reader and machine differ; `doubt` is 1 where the machine is least sure, None if unknown."""

    slice_index: int
    slice: int
    joint: JointName
    item: Item
    reading: int | None
    machine: int | None
    doubt: float | None


class MachineJoint(Model):
    """The machine's points of one joint on one slice, with their probabilities."""

    slice_index: int
    joint: JointName
    upper_iliac: int | None
    lower_iliac: int | None
    upper_sacral: int | None
    lower_sacral: int | None
    intense: int | None
    deep: int | None
    probability: dict[Item, float | None]
    doubt: dict[Item, float | None]


class MachineResult(Model):
    """The machine's score of one time point, without identifiers; `reason` if there is no score.

    Its eleven fields mirror `score.json`, so that the page reads the same names.
    """

    total: int | None
    edema: int | None
    intensity: int | None
    depth: int | None
    evaluable_maximum: int | None
    expected: float | None
    interval_90: tuple[float, float] | None
    probability_remission: float | None
    first: int | None
    reason: str | None
    joints: list[MachineJoint]


class MachineView(MachineResult):
    """The machine's score beside a reading, most doubtful differences first."""

    differences: list[Difference]


class SecondOpinionView(Model):
    """All data of the machine that a reader receives after lock."""

    visits: dict[Label, MachineView]
    primary: ReadingState
    revised: ReadingState | None


class KnownDifference(Model):
    """An item of a training case whose reading differs from the known value."""

    slice_index: int
    slice: int
    joint: JointName
    item: Item
    reading: int | None
    known: int | None


class TrainingAgreement(Model):
    """Agreement with the training set so far; an ICC is None with too few values.

    `pass_mark_change` is None if the training set has no changes.
    """

    cases: int
    visits: int
    icc: float | None
    icc_change: float | None
    changes: int
    mean_difference: float
    pass_mark: float
    pass_mark_change: float | None
    needed: int
    passed: bool


class FeedbackVisit(Model):
    """One time point of a training case: its judged slices, and its known total once all are read."""

    total: int | None
    known_total: int | None
    judged: list[int]
    differences: list[KnownDifference]


class FeedbackView(Model):
    """Feedback on a training case."""

    visits: dict[Label, FeedbackVisit]
    agreement: TrainingAgreement | None
