"""The same six slices at follow-up, and whether an alignment may be believed.

The transform moves the choice of slices and never a pixel: the rules run on the follow-up's own pixels.
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
from sparcc_pipeline.sparcc.slices import CHOSEN_BY_BASELINE, SLICES_SCORED, SixSlices
from sparcc_pipeline.volume import FloatArray, Geometry, LabelArray, sacroiliac_bones

SAME_SPACING: Final = 0.10
"""Slice spacings that differ by less than this share can be matched one to one (project decision)."""

TILT_WARNING_DEGREES: Final = 5.0
TILT_LIMIT_DEGREES: Final = 15.0
"""Angle between the slices of both visits. The joints span 12 cm from side to side, so at 5 degrees the outermost
points of a slice lie 5 mm, more than a slice, apart; at 15 degrees three to five slices (project decision)."""

LARGEST_MISSED: Final = 1
"""With more baseline slices than this outside of the follow-up, the two are not compared (project decision)."""

COVERED: Final = 0.5
"""Share of a baseline slice that its partner must overlap, else a warning (project decision)."""

LARGEST_JOINT_LINE_MM: Final = 3.0
SMALLEST_BONE_OVERLAP: Final = 0.80
LARGEST_ROTATION_DEGREES: Final = 30.0
"""Limits of an alignment that is believed (project decision; measured on five people before and after treatment: joint
lines 1.1-1.7 mm apart, overlap 0.90-0.94, 4 degrees; on different people 2.9-7.2 mm, 0.58-0.74)."""

PITCHES_DEGREES: Final = (-20.0, -10.0, 0.0, 10.0, 20.0)
"""Turns about the axis through both joints, which the joints alone do not fix, that a registration starts from."""

_POINTS: Final = 20_000


@dataclass(frozen=True)
class MatchedSlice:
    """Where one of the six baseline slices lies at follow-up.

    Parameters
    ----------
    baseline, follow_up : slice_index in each series; `follow_up` is None where no scored slice overlaps it
    overlap_mm : how much of the baseline slice (its spacing thick, at the middle of the joints) its partner covers
    offset_mm : from the partner's middle to the baseline slice at the middle of the joints, positive posteriorly
    largest_offset_mm : the same at the point of the joints where it is largest: what tilt leaves
    """

    baseline: int
    follow_up: int | None
    overlap_mm: float
    offset_mm: float
    largest_offset_mm: float


@dataclass(frozen=True)
class MatchedSlices:
    """The six follow-up slices, what they cover of the six baseline slices, and the tilt between them."""

    slices: SixSlices
    matched: tuple[MatchedSlice, ...]
    tilt_degrees: float


@dataclass(frozen=True)
class AlignmentQuality:
    """How well the joints and bones of both visits lie on each other.

    `joint_line_mm` is the mean distance of the baseline's joint lines from those of the follow-up, `bone_overlap` the
    Dice of sacrum and ilia, each with its own, within QUADRANT_REACH_MM of the joints.
    """

    joint_line_mm: float
    bone_overlap: float


def joint_points_mm(joints: Joints, side: Side | None = None, slice_index: int | None = None) -> FloatArray:
    """(n, 3) LPS points of the joint lines, of one side and slice if given."""
    points = [np.empty((0, 3))]
    for joint in joints:
        if side in {None, joint.side} and slice_index in {None, joint.slice_index}:
            pixels = joint.joint_line / np.array(joints.geometry.in_plane_mm)
            points.append(_to_mm(np.column_stack([np.full(len(pixels), joint.slice_index), pixels]), joints.geometry))
    return np.concatenate(points)


def starting_positions(baseline: Joints, follow_up: Joints, *, mirrored: bool = False) -> list[RigidTransform]:
    """Where a registration may start: joints on joints, for several turns about the axis through both.

    So neither another field of view, slice count and tilt nor a patient lying elsewhere leads it astray. With
    `mirrored`, for a follow-up whose columns were turned about.
    """
    fixed = [joint_points_mm(baseline, side).mean(axis=0) for side in (Side.RIGHT, Side.LEFT)]
    moving = [joint_points_mm(follow_up, side).mean(axis=0) for side in (Side.RIGHT, Side.LEFT)]
    if mirrored:
        index = _to_index(np.array(moving[::-1]), follow_up.geometry)
        index[:, 2] = follow_up.geometry.shape[2] - 1 - index[:, 2]
        moving = list(_to_mm(index, follow_up.geometry))
    centre, shift = (fixed[0] + fixed[1]) / 2, (moving[0] + moving[1] - fixed[0] - fixed[1]) / 2
    turn = rotation_between(fixed[1] - fixed[0], moving[1] - moving[0])
    return [RigidTransform.about(centre, turn @ rotation_about(0, pitch), shift) for pitch in PITCHES_DEGREES]


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
    """Refuse an alignment that did not succeed.

    Raises
    ------
    RegistrationError : the joints or bones do not lie on each other, nothing was gained, or the motion is none of a
        patient
    """
    faults = []
    # "not at most" rather than "more than": what is no number has failed as well.
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
            f"expected a follow-up that can be laid on the baseline, found {', '.join(faults)}; check that both series "
            "show the sacroiliac joints of one person, with the sides as they are"
        )


def match_six_slices(six: SixSlices, joints: Joints, follow_up: Geometry, transform: RigidTransform) -> MatchedSlices:
    """The six consecutive follow-up slices that best cover the six baseline slices: those with the same middle.

    Parameters
    ----------
    six, joints : slices and joints of the baseline
    transform : from the baseline to the follow-up, LPS mm

    Raises
    ------
    TooFewSlicesError : fewer than six slices at follow-up
    UnscorableError : tilted too far, or too little of the six baseline slices was imaged
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
    places = [_places(joints, index, follow_up, transform) for index in six.indices]
    middle = float(np.mean([place.mean() for place in places]))
    wanted = int(np.floor(middle - (SLICES_SCORED - 1) / 2 + 0.5))
    first = min(max(wanted, 0), count - SLICES_SCORED)
    spacings = joints.geometry.spacing_mm[0], follow_up.spacing_mm[0]
    one_to_one = abs(spacings[1] / spacings[0] - 1) <= SAME_SPACING
    matched = tuple(
        _match(index, wanted + position if one_to_one else round(float(place.mean())), first, place, spacings)
        for position, (index, place) in enumerate(zip(six.indices, places, strict=True))
    )
    missed = [m.baseline for m in matched if m.follow_up is None]
    if len(missed) > LARGEST_MISSED:
        raise UnscorableError(
            f"expected the follow-up to cover the six baseline slices, found {len(missed)} of them ({_join(missed)}) "
            "outside of it; the two cannot be compared slice by slice"
        )
    warnings = tuple(_warnings(matched, tilt, spacings, one_to_one))
    return MatchedSlices(SixSlices(first, CHOSEN_BY_BASELINE, warnings), matched, tilt)


def _match(baseline: int, partner: int, first: int, place: FloatArray,
           spacings: tuple[float, float]) -> MatchedSlice:  # fmt: skip
    """One baseline slice; `place` holds the slice coordinates of its joints' points in the follow-up."""
    # A slice beyond the window is none of the six: what lies there is missed, but its distance is still told.
    scored = first <= partner < first + SLICES_SCORED
    partner = min(max(partner, first), first + SLICES_SCORED - 1)
    offset = (float(place.mean()) - partner) * spacings[1]
    overlap = min((spacings[0] + spacings[1]) / 2 - abs(offset), *spacings) if scored else 0.0
    return MatchedSlice(
        baseline=baseline,
        follow_up=partner if overlap > 0 else None,
        overlap_mm=max(overlap, 0.0),
        offset_mm=offset,
        largest_offset_mm=float(np.abs(place - partner).max()) * spacings[1],
    )


def _warnings(matched: tuple[MatchedSlice, ...], tilt: float, spacings: tuple[float, float],
              one_to_one: bool) -> Iterable[Message]:  # fmt: skip
    if tilt > TILT_WARNING_DEGREES:
        apart = max(m.largest_offset_mm for m in matched)
        yield Message(
            "the slices are tilted by {tilt:.1f} degrees against the baseline's: the joints lie up to {apart:.1f} mm "
            "off the slice they are compared with",
            tilt=tilt,
            apart=apart,
        )
    if not one_to_one:
        yield Message(
            "the slices are {here:.1f} mm apart and {baseline:.1f} mm at baseline: totals from other spacings are not "
            "like for like",
            here=spacings[1],
            baseline=spacings[0],
        )
    missed = [m.baseline for m in matched if m.follow_up is None]
    if missed:
        yield Message("baseline slice {slices} lies outside of the follow-up's slices", slices=tuple(missed))
    thin = [m.baseline for m in matched if m.follow_up is not None and m.overlap_mm < COVERED * min(spacings)]
    if thin:
        yield Message("less than half of baseline slice {slices} is covered by its follow-up slice", slices=tuple(thin))


def _places(joints: Joints, slice_index: int, follow_up: Geometry, transform: RigidTransform) -> FloatArray:
    """(n,) slice coordinates in the follow-up of a baseline slice, at the joints (at all joints where it has none)."""
    points = joint_points_mm(joints, slice_index=slice_index)
    if not len(points):
        # The joints of the other slices, carried along the normal onto this one.
        points = joint_points_mm(joints)
        index = _to_index(points, joints.geometry)
        index[:, 0] = slice_index
        points = _to_mm(index, joints.geometry)
    return np.asarray(_to_index(transform.apply(points), follow_up)[:, 0])


def _tilt_degrees(baseline: Geometry, follow_up: Geometry, transform: RigidTransform) -> float:
    """Angle between the slice planes of both visits in the patient."""
    normal = np.array(transform.rotation) @ np.array(baseline.directions[0])
    return float(np.degrees(np.arccos(np.clip(abs(normal @ np.array(follow_up.directions[0])), 0.0, 1.0))))


def _bone_agreement(
    labels: tuple[LabelArray, Geometry],
    other: tuple[LabelArray, Geometry],
    transform: RigidTransform,
    joint_line: cKDTree,
) -> tuple[int, int]:
    """Voxels of sacrum and ilia near the joints that the other stack also shows, and how many it calls the same."""
    (anatomy, geometry), (other_anatomy, other_geometry) = labels, other
    bones = np.argwhere(sacroiliac_bones(anatomy))
    bones = bones[:: max(len(bones) // _POINTS, 1)]
    points = _to_mm(bones.astype(float), geometry)
    near = joint_line.query(points, distance_upper_bound=QUADRANT_REACH_MM)[0] <= QUADRANT_REACH_MM
    bones, moved = bones[near], transform.apply(points[near])
    inside = _inside(moved, other_geometry)
    there = np.rint(_to_index(moved[inside], other_geometry)).astype(int)
    same = other_anatomy[tuple(there.T)] == anatomy[tuple(bones[inside].T)]
    return int(inside.sum()), int(same.sum())


def _inside(points_mm: FloatArray, geometry: Geometry) -> np.ndarray:
    index = _to_index(points_mm, geometry)
    return np.asarray(((index >= 0) & (index <= np.array(geometry.shape) - 1)).all(axis=1))


def _to_mm(index: FloatArray, geometry: Geometry) -> FloatArray:
    """(n, 3) (slice, row, column) -> LPS."""
    return np.asarray(index @ geometry.affine[:3, :3].T + geometry.affine[:3, 3])


def _to_index(points_mm: FloatArray, geometry: Geometry) -> FloatArray:
    """(n, 3) LPS -> (slice, row, column), not rounded."""
    return np.asarray((points_mm - geometry.affine[:3, 3]) @ np.linalg.inv(geometry.affine[:3, :3]).T)


def _join(indices: list[int]) -> str:
    return ", ".join(map(str, indices))
