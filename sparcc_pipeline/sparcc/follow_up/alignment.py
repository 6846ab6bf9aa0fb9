"""Choice of the six follow-up slices that show the six baseline slices, and checks of the alignment.

The transform decides which slices are scored. It never moves a pixel: the rules run on the follow-up's own pixels.
All limits here are decisions of this project.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.spatial import cKDTree

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.errors import RegistrationError, TooFewSlicesError, UnscorableError
from sparcc_pipeline.message import Message
from sparcc_pipeline.rigid import RigidTransform, rotation_about, rotation_between
from sparcc_pipeline.sparcc.joint import QUADRANT_REACH_MM, Joints
from sparcc_pipeline.sparcc.slices import CHOSEN_BY_BASELINE, SLICES_SCORED, SixSlices, first_in_stack, first_of_six
from sparcc_pipeline.volume import BoolArray, FloatArray, Geometry, LabelArray, sacroiliac_bones, slice_ranges

SAME_SPACING: Final = 0.10
"""Slice spacings that differ by less than this share are matched one to one."""

TILT_WARNING_DEGREES: Final = 5.0
TILT_LIMIT_DEGREES: Final = 15.0
"""Angle between the slices of both visits. The joints span 12 cm from side to side: at 5 degrees the outermost points
of a slice are 5 mm apart, more than a slice; at 15 degrees three to five slices."""

LARGEST_MISSED: Final = 1
"""With more baseline slices than this outside the follow-up, the two are not compared."""

COVERED: Final = 0.5
"""Share of a baseline slice that its partner must overlap, else a warning."""

LARGEST_JOINT_LINE_MM: Final = 3.0
SMALLEST_BONE_OVERLAP: Final = 0.80
LARGEST_ROTATION_DEGREES: Final = 30.0
"""Limits of an accepted alignment. Measured on five people before and after treatment: joint lines 1.1-1.7 mm apart,
overlap 0.90-0.94, 4 degrees; on different people 2.9-7.2 mm and 0.58-0.74."""

PITCHES_DEGREES: Final = (-20.0, -10.0, 0.0, 10.0, 20.0)
"""Starting rotations about the axis through both joints. The joints alone leave this rotation open."""

_POINTS: Final = 20_000
"""Voxels of bone that are enough to measure their overlap."""


@dataclass(frozen=True)
class MatchedSlice:
    """One of the six baseline slices and its partner at follow-up.

    Parameters
    ----------
    baseline, follow_up : slice_index in each series; `follow_up` is None where no scored slice overlaps the baseline's
    overlap_mm : thickness of the baseline slice that its partner covers, at the middle of the joints; a slice is as
        thick as the spacing
    offset_mm : from the partner's middle to the baseline slice at the middle of the joints, positive posteriorly
    largest_offset_mm : the largest distance at any point of the joints; tilt makes it larger than `offset_mm`
    """

    baseline: int
    follow_up: int | None
    overlap_mm: float
    offset_mm: float
    largest_offset_mm: float


@dataclass(frozen=True)
class MatchedSlices:
    """The six follow-up slices, the match of each baseline slice, and the tilt between the two stacks."""

    slices: SixSlices
    matched: tuple[MatchedSlice, ...]
    tilt_degrees: float


@dataclass(frozen=True)
class AlignmentQuality:
    """Agreement of the joints and bones of two aligned visits.

    Parameters
    ----------
    joint_line_mm : mean distance of the baseline's joint lines from those of the follow-up
    bone_overlap : Dice of sacrum and ilia, each with its own label, within QUADRANT_REACH_MM of the joints
    """

    joint_line_mm: float
    bone_overlap: float


def joint_points_mm(joints: Joints, side: Side | None = None, slice_index: int | None = None) -> FloatArray:
    """Return the LPS points (n, 3) of the joint lines, of one side and slice if given."""
    points = [np.empty((0, 3))]
    for joint in joints:
        if side in {None, joint.side} and slice_index in {None, joint.slice_index}:
            pixels = joint.joint_line / np.array(joints.geometry.in_plane_mm)
            index = np.column_stack([np.full(len(pixels), joint.slice_index), pixels])
            points.append(joints.geometry.to_mm(index))
    return np.concatenate(points)


def starting_positions(baseline: Joints, follow_up: Joints, *, mirrored: bool = False) -> list[RigidTransform]:
    """Return starting transforms of a registration: joints onto joints, with PITCHES_DEGREES about their common axis.

    A start at the joints makes the registration independent of field of view, slice count, tilt and position of the
    patient. With `mirrored` the columns of the follow-up are taken as reversed.
    """
    fixed = [joint_points_mm(baseline, side).mean(axis=0) for side in (Side.RIGHT, Side.LEFT)]
    moving = [joint_points_mm(follow_up, side).mean(axis=0) for side in (Side.RIGHT, Side.LEFT)]
    if mirrored:
        index = follow_up.geometry.to_index(np.array(moving[::-1]))
        index[:, 2] = follow_up.geometry.shape[2] - 1 - index[:, 2]
        moving = list(follow_up.geometry.to_mm(index))
    centre, shift = (fixed[0] + fixed[1]) / 2, (moving[0] + moving[1] - fixed[0] - fixed[1]) / 2
    rotation = rotation_between(fixed[1] - fixed[0], moving[1] - moving[0])
    return [RigidTransform.about(centre, rotation @ rotation_about(0, pitch), shift) for pitch in PITCHES_DEGREES]


def alignment_quality(
    baseline: LabelArray, joints: Joints, follow_up: LabelArray, follow_up_joints: Joints, transform: RigidTransform
) -> AlignmentQuality:
    """Measure the agreement of the baseline with the follow-up under `transform`, where both were imaged.

    `baseline` and `follow_up` are (slices, rows, columns) uint8 of `AnatomyLabel` codes, on the grids of their joints.
    """
    line, surface = joint_points_mm(joints), joint_points_mm(follow_up_joints)
    tree = cKDTree(surface)
    moved = transform.apply(line)
    moved = moved[_inside(moved, follow_up_joints.geometry)]
    apart = float(tree.query(moved)[0].mean()) if len(moved) else float("inf")
    here, there = (baseline, joints.geometry), (follow_up, follow_up_joints.geometry)
    forward = _bone_agreement(here, there, transform, cKDTree(line))
    back = _bone_agreement(there, here, transform.inverse(), tree)
    found, agreeing = forward[0] + back[0], forward[1] + back[1]
    return AlignmentQuality(apart, agreeing / found if found else 0.0)


def require_plausible(quality: AlignmentQuality, transform: RigidTransform, information_gain: float) -> None:
    """Refuse an alignment that failed.

    Raises
    ------
    RegistrationError : joints or bones do not agree, mutual information fell, or the rotation is too large

    Examples
    --------
    >>> require_plausible(AlignmentQuality(joint_line_mm=1.4, bone_overlap=0.92), RigidTransform(), 0.1)
    >>> apart = AlignmentQuality(joint_line_mm=5.0, bone_overlap=0.92)
    >>> require_plausible(apart, RigidTransform(), 0.1)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    sparcc_pipeline.errors.RegistrationError: expected ... found joint lines 5.0 mm apart (at most 3 mm); ...
    """
    faults = []
    # Written `not <=` so that NaN fails.
    if not quality.joint_line_mm <= LARGEST_JOINT_LINE_MM:
        faults.append(f"joint lines {quality.joint_line_mm:.1f} mm apart (at most {LARGEST_JOINT_LINE_MM:g} mm)")
    if not quality.bone_overlap >= SMALLEST_BONE_OVERLAP:
        faults.append(f"bone overlap {quality.bone_overlap:.2f} (at least {SMALLEST_BONE_OVERLAP:g})")
    if not transform.angle_degrees <= LARGEST_ROTATION_DEGREES:
        faults.append(f"a turn of {transform.angle_degrees:.0f} degrees (at most {LARGEST_ROTATION_DEGREES:g})")
    if not information_gain >= 0:
        faults.append("less mutual information than before")
    if faults:
        raise RegistrationError(
            f"expected a follow-up that can be aligned with the baseline, found {', '.join(faults)}; check that both "
            "series show the sacroiliac joints of one person, with the sides as they are"
        )


def match_six_slices(six: SixSlices, joints: Joints, follow_up: Geometry, transform: RigidTransform) -> MatchedSlices:
    """Return the six consecutive follow-up slices that best cover the six baseline slices: those with the same middle.

    Parameters
    ----------
    six, joints : slices and joints of the baseline
    transform : from the baseline to the follow-up, LPS mm

    Raises
    ------
    TooFewSlicesError : fewer than six slices at follow-up
    UnscorableError : the tilt is too large, or too few of the six baseline slices were imaged
    """
    count = follow_up.shape[0]
    if count < SLICES_SCORED:
        raise TooFewSlicesError(f"expected at least {SLICES_SCORED} slices at follow-up, found {count}")
    tilt = _tilt_degrees(joints.geometry, follow_up, transform)
    if tilt > TILT_LIMIT_DEGREES:
        raise UnscorableError(
            f"expected slices tilted by at most {TILT_LIMIT_DEGREES:g} degrees against the baseline's, found "
            f"{tilt:.1f}; the two cannot be compared slice by slice"
        )
    # Each baseline slice votes with the mean position of its joints in the follow-up. One mean over all six, and not a
    # rounded partner for each slice, keeps the six consecutive when tilt or spacing differ.
    places = [_places(joints, index, follow_up, transform) for index in six.indices]
    middle = float(np.mean([place.mean() for place in places]))
    wanted, first = first_of_six(middle), first_in_stack(middle, count)
    spacings = joints.geometry.spacing_mm[0], follow_up.spacing_mm[0]
    one_to_one = abs(spacings[1] / spacings[0] - 1) <= SAME_SPACING
    matched = tuple(
        _match(index, wanted + position if one_to_one else round(float(place.mean())), first, place, spacings)
        for position, (index, place) in enumerate(zip(six.indices, places, strict=True))
    )
    missed = [m.baseline for m in matched if m.follow_up is None]
    if len(missed) > LARGEST_MISSED:
        raise UnscorableError(
            f"expected the follow-up to cover the six baseline slices, found {len(missed)} of them "
            f"({', '.join(map(str, missed))}) outside it; the two cannot be compared slice by slice"
        )
    warnings = tuple(_warnings(matched, tilt, spacings, one_to_one))
    return MatchedSlices(SixSlices(first, CHOSEN_BY_BASELINE, warnings), matched, tilt)


def _match(baseline: int, partner: int, first: int, place: FloatArray, spacings: tuple[float, float]) -> MatchedSlice:
    """The match of one baseline slice; `place` (n,) holds the slice coordinates of its joints in the follow-up."""
    # A partner outside the six is not scored, so the baseline slice is missed; its distance is reported all the same.
    scored = first <= partner < first + SLICES_SCORED
    partner = min(max(partner, first), first + SLICES_SCORED - 1)
    offset = (float(place.mean()) - partner) * spacings[1]
    # Two slabs as thick as their spacings: their overlap falls with the distance of their middles, and is at most the
    # thinner slab.
    overlap = min((spacings[0] + spacings[1]) / 2 - abs(offset), *spacings) if scored else 0.0
    return MatchedSlice(
        baseline=baseline,
        follow_up=partner if overlap > 0 else None,
        overlap_mm=max(overlap, 0.0),
        offset_mm=offset,
        largest_offset_mm=float(np.abs(place - partner).max()) * spacings[1],
    )


def _warnings(
    matched: tuple[MatchedSlice, ...], tilt: float, spacings: tuple[float, float], one_to_one: bool
) -> Iterable[Message]:
    if tilt > TILT_WARNING_DEGREES:
        apart = max(m.largest_offset_mm for m in matched)
        yield Message(
            "the slices are tilted by {tilt:.1f} degrees against the baseline's: the joints are up to {apart:.1f} "
            "mm from the slice they are compared with; compare the pictures slice by slice",
            tilt=tilt,
            apart=apart,
        )
    if not one_to_one:
        yield Message(
            "the slices are {here:.1f} mm apart and {baseline:.1f} mm at baseline: totals from other spacings "
            "cannot be compared directly; compare the pictures",
            here=spacings[1],
            baseline=spacings[0],
        )
    missed = [m.baseline for m in matched if m.follow_up is None]
    if missed:
        yield Message("baseline slices {slices} are not on the follow-up: leave them out", slices=slice_ranges(missed))
    thin = [m.baseline for m in matched if m.follow_up is not None and m.overlap_mm < COVERED * min(spacings)]
    if thin:
        yield Message("less than half of baseline slices {slices} is covered: look at them", slices=slice_ranges(thin))


def _places(joints: Joints, slice_index: int, follow_up: Geometry, transform: RigidTransform) -> FloatArray:
    """(n,) slice coordinates in the follow-up of the joints of a baseline slice; of all joints where it has none."""
    points = joint_points_mm(joints, slice_index=slice_index)
    if not len(points):
        # The joints of the other slices, projected along the normal onto this one.
        points = joint_points_mm(joints)
        index = joints.geometry.to_index(points)
        index[:, 0] = slice_index
        points = joints.geometry.to_mm(index)
    return np.asarray(follow_up.to_index(transform.apply(points))[:, 0])


def _tilt_degrees(baseline: Geometry, follow_up: Geometry, transform: RigidTransform) -> float:
    """Angle between the slice planes of both visits, in the patient."""
    normal = np.array(transform.rotation) @ np.array(baseline.directions[0])
    return float(np.degrees(np.arccos(np.clip(abs(normal @ np.array(follow_up.directions[0])), 0.0, 1.0))))


def _bone_agreement(
    labels: tuple[LabelArray, Geometry],
    other: tuple[LabelArray, Geometry],
    transform: RigidTransform,
    joint_line: cKDTree,
) -> tuple[int, int]:
    """Bone voxels near the joints that the other stack also shows, and how many have the same label there."""
    (anatomy, geometry), (other_anatomy, other_geometry) = labels, other
    bones = np.argwhere(sacroiliac_bones(anatomy))
    bones = bones[:: max(len(bones) // _POINTS, 1)]
    points = geometry.to_mm(bones.astype(float))
    near = joint_line.query(points, distance_upper_bound=QUADRANT_REACH_MM)[0] <= QUADRANT_REACH_MM
    bones, moved = bones[near], transform.apply(points[near])
    inside = _inside(moved, other_geometry)
    there = np.rint(other_geometry.to_index(moved[inside])).astype(int)
    same = other_anatomy[tuple(there.T)] == anatomy[tuple(bones[inside].T)]
    return int(inside.sum()), int(same.sum())


def _inside(points_mm: FloatArray, geometry: Geometry) -> BoolArray:
    """(n,) bool: LPS points (n, 3) between the first and last voxel centres of a stack."""
    index = geometry.to_index(points_mm)
    return np.asarray(((index >= 0) & (index <= np.array(geometry.shape) - 1)).all(axis=1))
