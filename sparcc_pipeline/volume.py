"""Arrays with a position in the patient.

Axes, in the whole project: axis 0 slices anterior -> posterior, axis 1 rows superior -> inferior, axis 2 columns
patient right -> left. Physical space: millimetres, LPS (x to the patient's left, y to posterior, z to superior), as in
DICOM. Readers convert every source to these axes; `StorageOrder` holds the conversion back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel
from sparcc_pipeline.errors import GeometryError
from sparcc_pipeline.message import Message

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
LabelArray = NDArray[np.uint8]

UNIT_TOLERANCE: Final = 1e-3
"""Largest deviation of a direction from unit length, or of two directions from a right angle (cosine)."""


@dataclass(frozen=True)
class StorageOrder:
    """How the source stored the axes: axis `a` is `source_axis[a]` of the source, reversed where `flipped[a]`.

    For DICOM the source axes are (slice by position along the normal, row, column); for NIfTI (i, j, k).
    """

    source_axis: tuple[int, int, int] = (0, 1, 2)
    flipped: tuple[bool, bool, bool] = (False, False, False)

    def from_source(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return a view of `stored`, with three source axes, in (slices, rows, columns)."""
        ordered = np.transpose(stored, self.source_axis)
        return ordered[tuple(slice(None, None, -1 if f else 1) for f in self.flipped)]

    def to_source(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view of `array` (slices, rows, columns) in the source's axes: the inverse of `from_source`."""
        unflipped = array[tuple(slice(None, None, -1 if f else 1) for f in self.flipped)]
        return np.transpose(unflipped, np.argsort(self.source_axis))


@dataclass(frozen=True)
class Geometry:
    """Position of one stack of slices in the patient.

    Parameters
    ----------
    shape : (slices, rows, columns)
    origin_mm : LPS position of the centre of voxel [0, 0, 0]
    directions : unit LPS vectors of growing slice, row and column index (three tuples of three)
    spacing_mm : distance of voxel centres along slices, rows, columns
    frame_of_reference_uid : DICOM frame of reference; None where the source has none

    Raises
    ------
    GeometryError : a size or spacing is not positive, directions are not orthonormal, or the axes are not in the
        project's order (anterior -> posterior, superior -> inferior, right -> left)
    """

    shape: tuple[int, int, int]
    origin_mm: tuple[float, float, float]
    directions: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
    spacing_mm: tuple[float, float, float]
    frame_of_reference_uid: str | None = None

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise GeometryError(
                f"expected positive sizes and spacings, found shape {self.shape} and spacing {self.spacing_mm} mm; "
                "check PixelSpacing and the slice positions of the source"
            )
        matrix = np.array(self.directions, dtype=float)
        if not np.allclose(matrix @ matrix.T, np.eye(3), atol=UNIT_TOLERANCE):
            raise GeometryError(
                f"expected three perpendicular unit directions, found {self.directions}; "
                "check ImageOrientationPatient of the source (a sheared stack cannot be scored)"
            )
        if matrix[2, 0] <= 0 or matrix[1, 2] >= 0 or matrix[0, 1] <= 0:
            raise GeometryError(
                "expected slices anterior to posterior, rows superior to inferior and columns right to left, "
                f"found directions {self.directions}; reorder the array before building a Geometry"
            )

    @property
    def affine(self) -> FloatArray:
        """(4, 4): homogeneous (slice, row, column) index -> LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.array(self.directions, dtype=float).T * np.array(self.spacing_mm)
        matrix[:3, 3] = self.origin_mm
        return matrix

    @property
    def in_plane_mm(self) -> tuple[float, float]:
        """(row, column) spacing in mm."""
        return self.spacing_mm[1], self.spacing_mm[2]

    @property
    def pixel_area_mm2(self) -> float:
        """Area of one pixel in mm2."""
        return self.spacing_mm[1] * self.spacing_mm[2]

    @property
    def tilt_degrees(self) -> float:
        """Angle between the slice plane and the coronal plane: 0 for coronal, 90 for axial."""
        return float(np.degrees(np.arccos(np.clip(abs(self.directions[0][1]), 0.0, 1.0))))

    def to_mm(self, index: FloatArray) -> FloatArray:
        """Return LPS positions in mm of (slice, row, column) indices; both (..., 3).

        Examples
        --------
        >>> coronal = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0))
        >>> stack = Geometry((10, 256, 256), (-100.0, 20.0, 50.0), coronal, (4.0, 0.8, 0.8))
        >>> stack.to_mm(np.array([2, 10, 100])).tolist()
        [-20.0, 28.0, 42.0]
        >>> stack.to_index(np.array([-20.0, 28.0, 42.0])).tolist()
        [2.0, 10.0, 100.0]
        """
        return np.asarray(index @ self.affine[:3, :3].T + self.affine[:3, 3])

    def to_index(self, points_mm: FloatArray) -> FloatArray:
        """Return fractional (slice, row, column) indices of LPS positions in mm; both (..., 3)."""
        # Inverted, not transposed: directions may deviate from right angles by UNIT_TOLERANCE.
        return np.asarray((points_mm - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T)

    def slice_position_mm(self, slice_index: int) -> float:
        """Return the distance in mm of a slice from the LPS origin along the normal, positive posteriorly."""
        return float(np.dot(self.origin_mm, self.directions[0]) + slice_index * self.spacing_mm[0])


def sacroiliac_bones(anatomy: LabelArray) -> BoolArray:
    """Return where an anatomy map shows the sacrum or an ilium; both (slices, rows, columns) or one slice of it."""
    return np.isin(anatomy, [AnatomyLabel.SACRUM, *ILIUM_LABEL.values()])


def same_geometry(a: Geometry, b: Geometry, tolerance_mm: float) -> bool:
    """True if both have the same shape and frame of reference, and every corner voxel within `tolerance_mm`."""
    if a.shape != b.shape or a.frame_of_reference_uid != b.frame_of_reference_uid:
        return False
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in a.shape], indexing="ij")).reshape(3, -1)
    homogeneous = np.vstack([corners, np.ones(corners.shape[1])])
    distance = np.linalg.norm((a.affine @ homogeneous - b.affine @ homogeneous)[:3], axis=0)
    return bool(distance.max() <= tolerance_mm)


@dataclass(frozen=True)
class SeriesRef:
    """The images that a volume was read from, and the facts of the acquisition that a report may show.

    `sop_instance_uids` has one entry a slice, anterior -> posterior (the same UID repeated, with `frame_numbers`
    1-based, for enhanced multi-frame; empty for NIfTI). `instance_numbers` are the InstanceNumbers of these slices as
    viewers show them; empty unless every slice has one. `facts` never holds anything that identifies a person.

    `person` is a fingerprint of PatientID, four hexadecimal digits: it shows when two studies are of different people.
    Different fingerprints mean different identifiers; equal ones prove nothing (one of 65536 other identifiers has it).
    `acquired` is the start of the acquisition by the scanner's clock: ISO "YYYY-MM-DDTHH:MM:SS", or "YYYY-MM-DD" where
    only the day is known. Both are None where the source gives none, and neither belongs in `facts`.
    """

    study_uid: str | None
    series_uid: str | None
    sop_instance_uids: tuple[str, ...] = ()
    frame_numbers: tuple[int, ...] = ()
    instance_numbers: tuple[int, ...] = ()
    source_kind: str = "dicom"
    facts: dict[str, str | float] = field(default_factory=dict)
    warnings: tuple[Message, ...] = ()
    person: str | None = field(default=None, repr=False)
    acquired: str | None = None


def _locked(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself, read-only; a view is copied first, because its base may still be written to."""
    own = array if array.flags.owndata else array.copy()
    own.setflags(write=False)
    return own


@dataclass(frozen=True, eq=False)
class Volume:
    """One stack of MR slices: (slices, rows, columns) float32 signal in the scanner's units, rescale applied."""

    signal: Float32Array
    geometry: Geometry
    series: SeriesRef
    storage: StorageOrder = field(default_factory=StorageOrder)

    def __post_init__(self) -> None:
        if self.signal.shape != self.geometry.shape:
            raise GeometryError(f"expected an array of shape {self.geometry.shape}, found {self.signal.shape}")
        object.__setattr__(self, "signal", _locked(np.ascontiguousarray(self.signal, dtype=np.float32)))


def slice_number(slice_index: int) -> int:
    """Return the number of a slice that people read: 1 is the most anterior slice.

    Examples
    --------
    >>> slice_number(0)
    1
    """
    return slice_index + 1


def slice_ranges(slice_indices: Iterable[int]) -> tuple[str, ...]:
    """Return the numbers of slices for people, neighbours as ranges.

    Examples
    --------
    >>> slice_ranges([8, 4, 5, 6])
    ('5-7', '9')
    """
    runs: list[list[int]] = []
    for number in sorted({slice_number(index) for index in slice_indices}):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return tuple(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


STIR: Final = "STIR"
T1: Final = "T1"
"""The two contrasts that the pipeline reads."""


@dataclass(frozen=True, eq=False)
class TissueMaps:
    """Result of the segmentation of one stack; arrays are (slices, rows, columns) unless another shape is given.

    More than ten fields, because all are the output of one segmentation, share one geometry and are saved together.

    Parameters
    ----------
    anatomy : uint8 codes of `anatomy.AnatomyLabel`
    edema_probability : float32 in 0..1, already 0 outside sacrum and ilium
    edema_threshold : probability from which a voxel counts as edema; part of the model
    vessel : bool, presacral vessels for the reference signal
    csf, disc : bool, cerebrospinal fluid and the nucleus of the L5-S1 disc, used where no vessel can be measured; None
        where they were not searched
    ligamentous : (slices,) float32, probability that the ligamentous part of the joints shows on each slice
    normal_marrow : signal of sacral marrow away from the joints, in the units of the volume; None where unknown
    marrow_at_height : (slices, rows) float32, signal of normal marrow at each height of each slice; None where unknown
    bones_from : the contrasts on which the bones were found, "STIR" and perhaps "T1"
    bones_certainty : mean probability of the voxels labelled sacrum or ilium; None where unknown
    """

    geometry: Geometry
    anatomy: LabelArray
    edema_probability: Float32Array
    edema_threshold: float
    vessel: BoolArray
    ligamentous: Float32Array
    normal_marrow: float | None = None
    bones_from: tuple[str, ...] = (STIR,)
    bones_certainty: float | None = None
    csf: BoolArray | None = None
    disc: BoolArray | None = None
    marrow_at_height: Float32Array | None = None

    def __post_init__(self) -> None:
        shapes = dict.fromkeys(("anatomy", "edema_probability", "vessel", "csf", "disc"), self.geometry.shape)
        for name, shape in (*shapes.items(), ("marrow_at_height", self.geometry.shape[:2])):
            array = getattr(self, name)
            if array is None:
                continue
            if array.shape != shape:
                raise GeometryError(f"expected {name} of shape {shape}, found {array.shape}")
            object.__setattr__(self, name, _locked(array))
        if self.ligamentous.shape != self.geometry.shape[:1]:
            raise GeometryError(f"expected one ligamentous probability a slice, found {self.ligamentous.shape}")
        object.__setattr__(self, "ligamentous", _locked(self.ligamentous))
        if not 0.0 < self.edema_threshold < 1.0:
            raise ValueError(f"edema_threshold must lie between 0 and 1, found {self.edema_threshold}")

    @property
    def edema(self) -> BoolArray:
        """(slices, rows, columns) bool: probability at or over the model's threshold."""
        return self.edema_probability >= np.float32(self.edema_threshold)
