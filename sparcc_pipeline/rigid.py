"""Rigid motion of a patient between two scans. Points are LPS positions in mm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sparcc_pipeline.volume import FloatArray, Geometry

_IDENTITY: Final = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class RigidTransform:
    """A rotation and a translation from the fixed scan to the moving scan: `rotation` @ point + `translation_mm`.

    Parameters
    ----------
    rotation : (3, 3)
    translation_mm : (3,)

    Raises
    ------
    ValueError : `rotation` is not a rotation (it would shear, scale or mirror)
    """

    rotation: tuple[tuple[float, ...], ...] = _IDENTITY
    translation_mm: tuple[float, ...] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        matrix = np.array(self.rotation, dtype=float)
        if matrix.shape != (3, 3) or not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-6):
            raise ValueError(f"expected a rotation, found {self.rotation}")
        if np.linalg.det(matrix) < 0:
            raise ValueError(f"expected a rotation, found a mirroring {self.rotation}")

    @staticmethod
    def of(rotation: FloatArray, translation_mm: FloatArray) -> RigidTransform:
        """Return the transform of a (3, 3) rotation and a (3,) translation."""
        return RigidTransform(tuple(map(tuple, rotation.tolist())), tuple(translation_mm.tolist()))

    @staticmethod
    def about(centre_mm: FloatArray, rotation: FloatArray, shift_mm: FloatArray) -> RigidTransform:
        """Return the rotation (3, 3) about `centre_mm` (3,), followed by the shift (3,)."""
        return RigidTransform.of(rotation, centre_mm + shift_mm - rotation @ centre_mm)

    @property
    def angle_degrees(self) -> float:
        """Angle of the rotation about its axis, 0..180."""
        # The skew part is needed: the arc cosine alone loses angles below a hundredth of a degree.
        matrix = np.array(self.rotation)
        skew = np.array([matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]])
        return float(np.degrees(np.arctan2(np.linalg.norm(skew) / 2, (np.trace(matrix) - 1) / 2)))

    @property
    def matrix(self) -> FloatArray:
        """(4, 4): homogeneous LPS mm in the fixed scan -> LPS mm in the moving scan."""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = self.rotation, self.translation_mm
        return matrix

    def apply(self, points_mm: FloatArray) -> FloatArray:
        """Return the positions in the moving scan of points of the fixed scan; both (n, 3).

        Examples
        --------
        >>> quarter = RigidTransform.of(rotation_about(2, 90), np.array([0.0, 0.0, 5.0]))
        >>> quarter.apply(np.array([[10.0, 0.0, 0.0]])).round(6).tolist()
        [[0.0, 10.0, 5.0]]
        """
        moved: FloatArray = points_mm @ np.array(self.rotation).T + self.translation_mm
        return moved

    def inverse(self) -> RigidTransform:
        """Return the transform from the moving scan to the fixed scan."""
        back = np.array(self.rotation).T
        return RigidTransform.of(back, -back @ np.array(self.translation_mm))

    def after(self, first: RigidTransform) -> RigidTransform:
        """Return the transform that applies `first` and then this one."""
        rotation = np.array(self.rotation)
        moved = rotation @ np.array(first.translation_mm) + self.translation_mm
        return RigidTransform.of(rotation @ np.array(first.rotation), moved)

    def distance_mm(self, other: RigidTransform, points_mm: FloatArray) -> FloatArray:
        """Return the distance (n,) between the images of points (n, 3) under this transform and `other`."""
        return np.asarray(np.linalg.norm(self.apply(points_mm) - other.apply(points_mm), axis=1))


def moved_geometry(geometry: Geometry, motion: RigidTransform) -> Geometry:
    """Return the geometry that shows the same anatomy at the same indices after the patient moved."""
    x, y, z = motion.apply(np.array([geometry.origin_mm]))[0].tolist()
    turned = (np.array(geometry.directions) @ np.array(motion.rotation).T).tolist()
    slices, rows, columns = ((a, b, c) for a, b, c in turned)
    return replace(geometry, origin_mm=(x, y, z), directions=(slices, rows, columns))


def index_map(fixed: Geometry, moving: Geometry, transform: RigidTransform) -> FloatArray:
    """Return the (4, 4) matrix from (slice, row, column, 1) of the fixed scan to those of the moving scan."""
    return np.asarray(np.linalg.inv(moving.affine) @ transform.matrix @ fixed.affine)


def rotation_about(axis: int, degrees: float) -> FloatArray:
    """Return the (3, 3) rotation about the LPS axis 0 (right-left: pitch), 1 (front-back) or 2 (feet-head)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    a, b = ((1, 2), (2, 0), (0, 1))[axis]
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
    return matrix


def rotation_between(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the smallest (3, 3) rotation from direction `a` (3,) to `b` (3,); the two must not be opposite."""
    first, second = a / np.linalg.norm(a), b / np.linalg.norm(b)
    axis = np.cross(first, second)
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.asarray(np.eye(3) + skew + skew @ skew / (1 + first @ second))
