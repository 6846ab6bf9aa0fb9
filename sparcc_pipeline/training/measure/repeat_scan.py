"""Simulate a second scan of the same person from a real one, with a known motion.

The patient moves, the slices are placed anew as a technician places them (following the patient, but not exactly), and
the signal gets another gain, another bias field and fresh noise. The disease is the same, so the score should be too.

Limits: between two thick slices the signal is interpolated, not measured, and tissue outside the first scan is unknown.
The noise of the first scan stays in the second one, under the fresh noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from sparcc_pipeline.rigid import RigidTransform, index_map, moved_geometry, rotation_about
from sparcc_pipeline.volume import Float32Array, FloatArray, Geometry, SeriesRef, Volume

SPLINE_ORDER: Final = 3
"""Cubic along all axes. Measured on three scans, moved by up to half a voxel: it keeps 79-97 % of their noise in the
plane, linear interpolation 43-79 %, and linear in the plane with cubic between slices 52-65 %."""

SHIFT_MM: Final = 40.0
"""Largest shift of the patient in the scanner, in any direction."""

TURN_DEGREES: Final = 5.0
"""Largest turn of the patient at a real second visit, about any axis."""

LARGE_TURN_DEGREES: Final = 15.0
"""The same for the test of the registration."""

PLACED_TURN_DEGREES: Final = 4.0
"""Largest tilt (about the right-left axis) and turn (about the feet-head axis) of the slices by the technician."""

PLACED_SLICES: Final = (0.5, 1.5)
"""Shift of the slices to the front or the back, in slices: never on the slices of the first scan."""

PLACED_IN_PLANE_MM: Final = 10.0
"""Largest shift of the image along its rows and along its columns."""

GAIN: Final = (0.7, 1.4)
BIAS: Final = 0.10
NOISE: Final = 0.04
"""Standard deviation of the noise, as a share of the marrow's signal."""

IMAGED_SHARE: Final = 0.5
"""Slices at the ends of the second scan are left out if the first scan shows less of them."""

_BIAS_KNOTS: Final = 3
_FOREGROUND: Final = 0.2


@dataclass(frozen=True)
class Repeat:
    """How a second scan differs from the first.

    Parameters
    ----------
    motion : of the patient, LPS mm: where a point of the first scan lies in the second
    placement : of the slices, after they followed `motion` exactly
    shape, spacing_mm : of the second scan's grid, about the same middle; as at the first if None
    gain : factor on all signal
    bias : largest relative change by a smooth field
    noise : standard deviation as a share of `unit_signal` of `repeat_scan`
    """

    motion: RigidTransform = RigidTransform()
    placement: RigidTransform = RigidTransform()
    shape: tuple[int, int, int] | None = None
    spacing_mm: tuple[float, float, float] | None = None
    gain: float = 1.0
    bias: float = 0.0
    noise: float = 0.0
    seed: int = 0


def repeat_scan(volume: Volume, repeat: Repeat, unit_signal: float) -> Volume:
    """Return the second scan; slices at its ends that the first scan hardly covers are left out.

    `repeat.noise` is a share of `unit_signal`, in the units of `volume`: that of marrow, or `body_signal`.

    Raises
    ------
    GeometryError : the turned stack is no longer semicoronal
    ValueError : the second scan shows nothing of the first
    """
    random = np.random.default_rng(repeat.seed)
    geometry, kept = _covered(repeat_geometry(volume.geometry, repeat), volume.geometry, repeat.motion)
    signal = np.maximum(_interpolate(volume, geometry, repeat.motion), 0) * repeat.gain
    if repeat.bias:
        signal *= 1 + repeat.bias * _smooth_field(geometry.shape, random)
    if repeat.noise:
        # Magnitude images have Rician noise. Source: [Gudbjartsson1995].
        deviation = repeat.noise * unit_signal * repeat.gain
        real, imaginary = random.normal(0.0, deviation, (2, *geometry.shape))
        signal = np.hypot(signal + real, imaginary)
    facts = {**volume.series.facts, "slices": kept} if "slices" in volume.series.facts else volume.series.facts
    series = SeriesRef(None, None, source_kind=volume.series.source_kind, facts=dict(facts))
    return Volume(signal.astype(np.float32), geometry, series, volume.storage)


def repeat_geometry(geometry: Geometry, repeat: Repeat) -> Geometry:
    """Return the grid of the second scan, in a frame of reference of its own."""
    shape, spacing = repeat.shape or geometry.shape, repeat.spacing_mm or geometry.spacing_mm
    directions = np.array(geometry.directions, dtype=float)
    middle = (np.array(geometry.shape) - 1) / 2 * geometry.spacing_mm @ directions + geometry.origin_mm
    origin = middle - (np.array(shape) - 1) / 2 * spacing @ directions
    uid = uuid5(NAMESPACE_OID, f"{geometry.frame_of_reference_uid} {repeat}").int
    x, y, z = origin.tolist()
    placed = Geometry(shape, (x, y, z), geometry.directions, spacing, f"2.25.{uid}")
    return moved_geometry(placed, repeat.placement.after(repeat.motion))


def body_signal(signal: Float32Array) -> float:
    """Return the median signal of the body without air."""
    return float(np.median(signal[signal > _FOREGROUND * np.percentile(signal, 95)]))


def random_repeat(geometry: Geometry, middle_mm: FloatArray, seed: int) -> Repeat:
    """Return a realistic second visit: the patient has moved, and the slices nearly follow.

    `middle_mm` (3,) LPS is the point about which patient and slices turn, such as the middle of the joints.
    """
    random = np.random.default_rng(seed)
    motion = _random_motion(random, middle_mm, TURN_DEGREES)
    return _random_signal(random, Repeat(motion, _random_placement(random, geometry, middle_mm, motion), seed=seed))


def random_large_repeat(geometry: Geometry, middle_mm: FloatArray, seed: int, *, follows: bool) -> Repeat:
    """Return a hard second visit for the registration: turned by up to LARGE_TURN_DEGREES.

    The slices nearly follow the patient, or they stay and the patient moves and turns within them.
    """
    random = np.random.default_rng(seed)
    motion = _random_motion(random, middle_mm, LARGE_TURN_DEGREES)
    placement = _random_placement(random, geometry, middle_mm, motion) if follows else motion.inverse()
    return _random_signal(random, Repeat(motion, placement, seed=seed))


def _random_motion(random: np.random.Generator, middle_mm: FloatArray, largest_degrees: float) -> RigidTransform:
    axis, way = (vector / np.linalg.norm(vector) for vector in random.normal(size=(2, 3)))
    turn = Rotation.from_rotvec(axis * random.uniform(0, largest_degrees), degrees=True).as_matrix()
    return RigidTransform.about(middle_mm, turn, way * random.uniform(0, SHIFT_MM))


def _random_placement(
    random: np.random.Generator, geometry: Geometry, middle_mm: FloatArray, motion: RigidTransform
) -> RigidTransform:
    tilt, turn = random.uniform(-PLACED_TURN_DEGREES, PLACED_TURN_DEGREES, 2)
    rotation = rotation_about(0, tilt) @ rotation_about(2, turn)
    slices = random.choice([-1, 1]) * random.uniform(*PLACED_SLICES)
    in_plane = random.uniform(-PLACED_IN_PLANE_MM, PLACED_IN_PLANE_MM, 2)
    along = np.array([slices * geometry.spacing_mm[0], *in_plane])
    axes = np.array(geometry.directions) @ np.array(motion.rotation).T @ rotation.T
    return RigidTransform.about(motion.apply(middle_mm[None])[0], rotation, along @ axes)


def _random_signal(random: np.random.Generator, repeat: Repeat) -> Repeat:
    return replace(repeat, gain=float(random.uniform(*GAIN)), bias=BIAS, noise=NOISE)


def _places(geometry: Geometry, matrix: FloatArray, slice_index: int) -> FloatArray:
    """Return (3, rows, columns): the indices in the first scan of one slice's pixels."""
    rows, columns = np.meshgrid(*map(np.arange, geometry.shape[1:]), indexing="ij")
    index = np.stack([np.full(rows.shape, slice_index), rows, columns, np.ones(rows.shape)])
    # Rounded, so that rounding errors do not move a pixel on the edge outside.
    return np.asarray(np.round(np.tensordot(matrix[:3], index, axes=1), 6))


def _covered(geometry: Geometry, first: Geometry, motion: RigidTransform) -> tuple[Geometry, int]:
    """Return the grid without end slices that the first scan hardly covers, and the number of slices left."""
    matrix = index_map(geometry, first, motion.inverse())
    share = []
    for k in range(geometry.shape[0]):
        place = _places(geometry, matrix, k)[0]
        share.append(np.mean((place >= -0.5) & (place <= first.shape[0] - 0.5)))
    enough = np.flatnonzero(np.array(share) >= IMAGED_SHARE)
    if not len(enough):
        raise ValueError("expected a second scan that shows part of the first, found none of its slices there")
    start, count = int(enough[0]), int(enough[-1] - enough[0] + 1)
    x, y, z = (float(mm) for mm in (geometry.affine @ [start, 0, 0, 1])[:3])
    return replace(geometry, shape=(count, *geometry.shape[1:]), origin_mm=(x, y, z)), count


def _interpolate(volume: Volume, geometry: Geometry, motion: RigidTransform) -> FloatArray:
    """Return the first scan's signal at the second one's voxels: beyond its slices that of the last, beside them 0."""
    matrix = index_map(geometry, volume.geometry, motion.inverse())
    coefficients = ndimage.spline_filter(volume.signal.astype(float), order=SPLINE_ORDER)
    signal = np.empty(geometry.shape)
    for k in range(geometry.shape[0]):
        place = _places(geometry, matrix, k)
        place[0] = np.clip(place[0], 0, volume.geometry.shape[0] - 1)
        ndimage.map_coordinates(
            coefficients, place, output=signal[k], order=SPLINE_ORDER, prefilter=False, mode="constant"
        )
    return signal


def _smooth_field(shape: tuple[int, int, int], random: np.random.Generator) -> FloatArray:
    """Return a (slices, rows, columns) smooth random field whose largest absolute value is 1."""
    knots = random.normal(size=(_BIAS_KNOTS,) * 3)
    field = ndimage.zoom(knots, np.array(shape) / _BIAS_KNOTS, order=2, mode="nearest", grid_mode=True)
    return np.asarray(field / np.abs(field).max())
