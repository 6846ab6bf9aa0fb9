"""The SPARCC score, 0-72: edema (0-48) + intensity (0-12) + depth (0-12) over six slices and two joints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.depth import depth_point, edema_depth_mm
from sparcc_pipeline.sparcc.edema import edema_points
from sparcc_pipeline.sparcc.intensity import (
    REFERENCE_NAMES,
    VESSELS,
    ReferenceSignal,
    edema_signal,
    intensity_point,
    measure_reference_signal,
    reference_tissue,
)
from sparcc_pipeline.sparcc.joint import Joints, JointSlice
from sparcc_pipeline.sparcc.lesions import (
    POINTS_ONLY,
    EdemaPieces,
    OnSlice,
    Place,
    edema_pieces,
    joined_pieces,
    probability_asas_positive,
    probability_definite_lesion,
)
from sparcc_pipeline.sparcc.points import evaluable_items, points_given
from sparcc_pipeline.sparcc.slices import SixSlices
from sparcc_pipeline.volume import TissueMaps, Volume, slice_ranges

FEW_OUTSIDE: Final = 4
"""Quadrants with edema outside the six slices up to which it is a note, never a warning. Decision of this project."""


@dataclass(frozen=True)
class JointSliceScore:
    """Points of one joint on one slice: each 0, 1, or None for not evaluable.

    `slice` is 0-5 within the six, anterior to posterior. `height_mm` and `depth_mm` are None where the joint is not
    visible.
    """

    slice: int
    side: Side
    edema: Mapping[Quadrant, int | None]
    intense: int | None
    deep: int | None
    height_mm: float | None
    depth_mm: float | None

    @property
    def points(self) -> int:
        """Sum of the points of this joint-slice, 0-6."""
        return points_given(self._items)

    @property
    def evaluable(self) -> int:
        """Number of the six items that are evaluable."""
        return evaluable_items(self._items)

    @property
    def _items(self) -> tuple[int | None, ...]:
        return (*self.edema.values(), self.intense, self.deep)


@dataclass(frozen=True)
class SparccScore:
    """The score of one study: twelve joint-slices, right then left on each of the six slices.

    Examples
    --------
    One joint-slice with edema in two quadrants, intense and deep; nothing on the other eleven:

    >>> def joint(position, side, points):
    ...     edema = {quadrant: int(quadrant.value in points) for quadrant in Quadrant}
    ...     return JointSliceScore(position, side, edema, int("intense" in points), int("deep" in points), 40.0, 0.0)
    >>> found = {(2, Side.LEFT): ("upper_iliac", "upper_sacral", "intense", "deep")}
    >>> joints = tuple(joint(k, side, found.get((k, side), ())) for k in range(6) for side in Side)
    >>> score = SparccScore(SixSlices(4, "user"), joints, None)
    >>> score.edema, score.intensity, score.depth, score.total, score.evaluable_maximum
    (2, 1, 1, 4, 72)
    >>> score.asas_positive, score.definite_lesion
    (True, False)
    """

    slices: SixSlices
    joints: tuple[JointSliceScore, ...]
    reference_signal: ReferenceSignal | None
    warnings: tuple[Message, ...] = ()
    pieces: EdemaPieces = POINTS_ONLY
    notes: tuple[Message, ...] = ()

    @property
    def edema(self) -> int:
        """Quadrants with edema, 0-48."""
        return sum(point or 0 for joint in self.joints for point in joint.edema.values())

    @property
    def intensity(self) -> int:
        """Joint-slices with intense edema, 0-12."""
        return sum(joint.intense or 0 for joint in self.joints)

    @property
    def depth(self) -> int:
        """Joint-slices with deep edema, 0-12."""
        return sum(joint.deep or 0 for joint in self.joints)

    @property
    def total(self) -> int:
        """SPARCC, 0-72."""
        return self.edema + self.intensity + self.depth

    @property
    def evaluable_maximum(self) -> int:
        """Largest total that this study can reach: the number of evaluable items."""
        return sum(joint.evaluable for joint in self.joints)

    @property
    def asas_positive(self) -> bool:
        """ASAS-positive MRI: two lesions on one slice, or one lesion on two consecutive slices. Source: [AsasMri]."""
        return probability_asas_positive(self._points, self.pieces) > 0

    @property
    def definite_lesion(self) -> bool:
        """Definite active lesion: four quadrants, or one on three consecutive slices. Source: [AsasDataDriven]."""
        return probability_definite_lesion(self._points) > 0

    @property
    def _points(self) -> list[OnSlice]:
        """The points of the evaluable quadrants of each slice."""
        slices: list[dict[Place, float]] = [{} for _ in self.slices.indices]
        for joint in self.joints:
            slices[joint.slice] |= {(joint.side, q): point for q, point in joint.edema.items() if point is not None}
        return list(slices)


def score_sparcc(stir: Volume, tissue: TissueMaps, joints: Joints, slices: SixSlices) -> SparccScore:
    """Score six slices of one STIR volume by the published rules."""
    reference = measure_reference_signal(
        stir.signal, reference_tissue(tissue), stir.geometry.spacing_mm, tissue.normal_marrow
    )
    scored = tuple(
        score_joint_slice(stir, tissue, joints.at(slice_index, side), position, side, reference)
        for position, slice_index in enumerate(slices.indices)
        for side in Side
    )
    area, threshold = stir.geometry.pixel_area_mm2, tissue.edema_threshold
    pieces = joined_pieces(
        [
            edema_pieces(joint, position, tissue.edema_probability[slice_index], threshold, area)
            for position, slice_index in enumerate(slices.indices)
            for side in Side
            if (joint := joints.at(slice_index, side)) is not None
        ]
    )
    warnings = tuple(_warnings(tissue, joints, slices, scored, reference))
    return SparccScore(slices, scored, reference, warnings, pieces, tuple(_notes(tissue, joints, slices, scored)))


def score_joint_slice(
    stir: Volume,
    tissue: TissueMaps,
    joint: JointSlice | None,
    position: int,
    side: Side,
    reference: ReferenceSignal | None,
) -> JointSliceScore:
    """Return the points of one joint-slice; every item is None where the joint is not visible or too short."""
    nothing: dict[Quadrant, int | None] = dict.fromkeys(Quadrant)
    if joint is None:
        return JointSliceScore(position, side, nothing, None, None, None, None)
    k, pixel_area = joint.slice_index, stir.geometry.pixel_area_mm2
    points = edema_points(joint, tissue.edema[k], pixel_area)
    if all(point is None for point in points.values()):
        return JointSliceScore(position, side, points, None, None, joint.height_mm, None)
    counted = np.zeros(stir.geometry.shape[1:], dtype=bool)
    for quadrant, point in points.items():
        if point:
            counted |= joint.quadrants[quadrant]
    probability = np.where(counted, tissue.edema_probability[k], np.float32(0))
    depth_mm = edema_depth_mm(joint, probability, tissue.edema_threshold, stir.geometry.in_plane_mm)
    smooth = edema_signal(joint, tissue.edema_probability[k], stir.signal[k], stir.geometry)
    return JointSliceScore(
        slice=position,
        side=side,
        edema=points,
        intense=intensity_point(counted & tissue.edema[k], smooth, reference, pixel_area),
        deep=depth_point(depth_mm),
        height_mm=joint.height_mm,
        depth_mm=depth_mm,
    )


def _warnings(
    tissue: TissueMaps,
    joints: Joints,
    slices: SixSlices,
    scored: tuple[JointSliceScore, ...],
    reference: ReferenceSignal | None,
) -> Iterable[Message]:
    """Facts that a reader of the score should know and the numbers do not show."""
    yield from slices.warnings
    if reference is None:
        yield Message(
            "no presacral vessel, cerebrospinal fluid or disc could be measured: intensity is not evaluable where "
            "there is edema; read intensity by eye"
        )
    elif reference.kind != VESSELS:
        yield Message(
            "no presacral vessel could be measured: the reference of intensity is the {kind}; check the points of "
            "intensity by eye",
            kind=REFERENCE_NAMES[reference.kind],
        )
    if reference is not None and reference.doubts:
        yield Message(
            "intensity is unsure, because the presacral vessels are doubtful: {doubts}; look at them in the pictures",
            doubts=reference.doubts,
        )
    for side in Side:
        unseen = [slices.indices[j.slice] for j in scored if j.side is side and j.height_mm is None]
        if unseen:
            yield Message(
                "the {side} joint is not visible on slices {slices}: not evaluable there; check these slices by eye",
                side=side.value,
                slices=slice_ranges(unseen),
            )
    outside = edema_outside(tissue, joints, slices)
    if sum(outside.values()) > max(_edema(scored), FEW_OUTSIDE):
        yield Message(
            "more edema beside the joint lies outside the six scored slices (on slices {slices}) than on them: check "
            "that these are the right six, or choose others with --slices",
            slices=slice_ranges(outside),
        )


def _notes(
    tissue: TissueMaps, joints: Joints, slices: SixSlices, scored: tuple[JointSliceScore, ...]
) -> Iterable[Message]:
    """Facts that most studies have and that need no action."""
    outside = edema_outside(tissue, joints, slices)
    if outside and sum(outside.values()) <= max(_edema(scored), FEW_OUTSIDE):
        yield Message(
            "edema beside the joint on slices {slices}, outside the six scored slices: not part of the score",
            slices=slice_ranges(outside),
        )


def _edema(scored: tuple[JointSliceScore, ...]) -> int:
    return sum(points_given(joint.edema.values()) for joint in scored)


def edema_outside(tissue: TissueMaps, joints: Joints, slices: SixSlices) -> dict[int, int]:
    """Return how many quadrants have enough edema for a point on each slice outside the six, if any has."""
    area = tissue.geometry.pixel_area_mm2
    outside: dict[int, int] = {}
    for joint in joints:
        if joint.slice_index not in slices.indices:
            points = points_given(edema_points(joint, tissue.edema[joint.slice_index], area).values())
            if points:
                outside[joint.slice_index] = outside.get(joint.slice_index, 0) + points
    return outside
