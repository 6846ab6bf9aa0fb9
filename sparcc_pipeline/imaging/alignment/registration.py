"""Rigid registration of two stacks of one patient by mutual information (the only door to SimpleITK).

It never moves a pixel that is scored: the result is a `RigidTransform`, by which slices are chosen. `resample` is for
pictures and for finding bones on T1.

Source of the metric: [Mattes2003].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import ndimage

from sparcc_pipeline.errors import RegistrationError
from sparcc_pipeline.rigid import RigidTransform, index_map
from sparcc_pipeline.volume import BoolArray, Float32Array, FloatArray, Geometry, Volume

if TYPE_CHECKING:
    import SimpleITK as sitk

LEVELS_MM: Final = (3.6, 1.8, 1.2)
"""In-plane pixel of each level; slices are thick already and are not merged."""

SAMPLES: Final = (40_000, 40_000, 60_000)
"""Points of the fixed scan that each level samples."""

ITERATIONS: Final = (60, 60, 40)
FIRST_STEP_MM: Final = (3.0, 1.0, 0.4)
LAST_STEP_MM: Final = (0.05, 0.02, 0.005)
BINS: Final = 32
SEED: Final = 42
THREADS: Final = 1
"""With more threads, the order of the sums in the metric varies: a second run would differ in the last digits."""

REGION_MARGIN_MM: Final = 12.0
"""The registration uses sacrum, ilia and this margin around them, so that bowel and bladder do not drive it."""

STARTS_TRIED: Final = 2
"""Number of starting positions that are optimised at the coarsest level: those with the highest mutual information."""


@dataclass(frozen=True)
class Registration:
    """A transform from the fixed to the moving scan, and the mutual information (nats) with it and before it.

    Before means without any motion of the patient in the scanner.
    """

    transform: RigidTransform
    mutual_information: float
    mutual_information_before: float

    @property
    def information_gain(self) -> float:
        """Mutual information with the transform less that before, in nats."""
        return self.mutual_information - self.mutual_information_before


def bone_region(bones: BoolArray, spacing_mm: tuple[float, float, float]) -> BoolArray:
    """Return `bones` widened by REGION_MARGIN_MM; both (slices, rows, columns) bool."""
    # On half of the rows and columns: a quarter of the time, and the margin of 12 mm is off by at most one pixel.
    small = bones[:, ::2, ::2]
    spacing = (spacing_mm[0], 2 * spacing_mm[1], 2 * spacing_mm[2])
    near = ndimage.distance_transform_edt(~small, sampling=spacing) <= REGION_MARGIN_MM
    return np.asarray(near.repeat(2, axis=1).repeat(2, axis=2)[:, : bones.shape[1], : bones.shape[2]])


def register(fixed: Volume, moving: Volume, region: BoolArray, starts: Sequence[RigidTransform]) -> Registration:
    """Find the rigid motion from the fixed to the moving scan.

    Parameters
    ----------
    region : (slices, rows, columns) bool of the fixed scan, see `bone_region`
    starts : positions to start from; the best STARTS_TRIED are optimised

    Raises
    ------
    RegistrationError : the scans do not overlap at any start
    """
    pyramid = [_Level(fixed, moving, region, level) for level in range(len(LEVELS_MM))]
    coarse = pyramid[0]
    ranked = sorted(starts, key=coarse.mutual_information, reverse=True)[:STARTS_TRIED]
    followed = [found for start in ranked if (found := coarse.optimise(start)) is not None]
    if not followed:
        raise RegistrationError(
            "expected two scans that can be aligned, found no position where they share enough of the bones; "
            " check that both show the sacroiliac joints of one person"
        )
    best = max(followed, key=coarse.mutual_information)
    for level in pyramid[1:]:
        best = level.optimise(best) or best
    return Registration(best, pyramid[-1].mutual_information(best), pyramid[-1].mutual_information(RigidTransform()))


class _Level:
    """Both scans and the region at one in-plane pixel size."""

    def __init__(self, fixed: Volume, moving: Volume, region: BoolArray, level: int) -> None:
        import SimpleITK as sitk

        self._sitk, self._level = sitk, level
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(THREADS)
        box = _bounding_box(region)
        self._fixed = _shrunk(_image(fixed.signal, fixed.geometry)[_sitk_slices(box)], fixed, level)
        mask = _image(region.astype(np.float32), fixed.geometry)[_sitk_slices(box)]
        self._mask = sitk.Cast(_shrunk(mask, fixed, level) > 0.5, sitk.sitkUInt8)
        self._moving = _shrunk(_image(moving.signal, moving.geometry), moving, level)
        centre = np.argwhere(region).mean(axis=0)
        self._centre: list[float] = (fixed.geometry.affine @ [*centre, 1.0])[:3].tolist()

    def mutual_information(self, transform: RigidTransform) -> float:
        """Return the mutual information in nats; 0 where the scans hardly overlap."""
        method = self._method()
        method.SetInitialTransform(self._euler(transform), inPlace=False)
        try:
            return -float(method.MetricEvaluate(self._fixed, self._moving))
        except RuntimeError:  # too few points in common
            return 0.0

    def optimise(self, start: RigidTransform) -> RigidTransform | None:
        """Return the transform near `start` with the highest mutual information; None if the scans hardly overlap."""
        method = self._method()
        euler = self._euler(start)
        method.SetOptimizerAsRegularStepGradientDescent(
            FIRST_STEP_MM[self._level], LAST_STEP_MM[self._level], ITERATIONS[self._level], relaxationFactor=0.6
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(euler, inPlace=True)
        try:
            method.Execute(self._fixed, self._moving)
        except RuntimeError:
            return None
        rotation = np.array(euler.GetMatrix()).reshape(3, 3)
        return RigidTransform.about(np.array(self._centre), rotation, np.array(euler.GetTranslation()))

    def _method(self) -> sitk.ImageRegistrationMethod:
        method = self._sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(BINS)
        method.SetInterpolator(self._sitk.sitkLinear)
        method.SetMetricFixedMask(self._mask)
        share = SAMPLES[self._level] / self._fixed.GetNumberOfPixels()
        if share < 1.0:
            method.SetMetricSamplingStrategy(method.RANDOM)
            method.SetMetricSamplingPercentage(share, SEED)
        return method

    def _euler(self, transform: RigidTransform) -> sitk.Euler3DTransform:
        """The same motion about the middle of the region, so that rotation and shift are separate."""
        euler = self._sitk.Euler3DTransform()
        euler.SetCenter(self._centre)
        euler.SetMatrix(np.array(transform.rotation).ravel().tolist(), 1e-5)
        centre = np.array(self._centre)
        euler.SetTranslation((transform.apply(centre[None])[0] - centre).tolist())
        return euler


def resample(moving: Volume, transform: RigidTransform, onto: Geometry, *, repeat_edge: bool = False) -> Float32Array:
    """Return the moving scan's signal at the voxels of `onto`; (slices, rows, columns) float32.

    Outside the moving scan it is 0, or its edge repeated. For pictures and for finding bones: no rule of the score uses
    this signal.
    """
    matrix = index_map(onto, moving.geometry, transform)
    mode = "nearest" if repeat_edge else "constant"
    return np.asarray(
        ndimage.affine_transform(
            moving.signal, matrix[:3, :3], matrix[:3, 3], output_shape=onto.shape, order=1, mode=mode
        )
    )


def _image(array: Float32Array, geometry: Geometry) -> sitk.Image:
    """The array (slices, rows, columns) as a SimpleITK image, which counts (column, row, slice)."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array)
    image.SetSpacing([float(s) for s in geometry.spacing_mm[::-1]])
    image.SetOrigin([float(x) for x in geometry.origin_mm])
    directions: FloatArray = np.array(geometry.directions[::-1], dtype=float).T
    image.SetDirection(directions.ravel().tolist())
    return image


def _shrunk(image: sitk.Image, volume: Volume, level: int) -> sitk.Image:
    """`image` with pixels of about LEVELS_MM; its slices are not changed."""
    import SimpleITK as sitk

    rows, columns = (max(1, round(LEVELS_MM[level] / spacing)) for spacing in volume.geometry.in_plane_mm)
    shrunk: sitk.Image = sitk.BinShrink(image, [columns, rows, 1])
    return shrunk


def _bounding_box(region: BoolArray) -> tuple[slice, slice, slice]:
    """The smallest box (slices, rows, columns) that holds the region."""
    found = ndimage.find_objects(region.astype(np.uint8))
    if not found:
        raise RegistrationError("expected bones to register by, found none; look at the anatomy map (--nifti)")
    box: tuple[slice, slice, slice] = found[0]
    return box


def _sitk_slices(box: tuple[slice, slice, slice]) -> tuple[Any, ...]:
    """The box in SimpleITK's order (columns, rows, slices)."""
    return box[::-1]
