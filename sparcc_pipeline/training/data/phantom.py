"""Synthetic STIR studies with a score known by construction. For tests and the demo; no claim of accuracy.

Coordinates of a slice are in mm: u to the patient's left of the midline, v downwards from the top of the image. Each
joint is a straight line on which sacrum and ilium meet; beyond its ends the bones part. Lesions are boxes along that
line, so that area, depth and brightness are exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Bone, Level, Side
from sparcc_pipeline.training.data.phantom_spec import PhantomSpec, require_room
from sparcc_pipeline.volume import Float32Array, FloatArray, Geometry, SeriesRef, TissueMaps, Volume

EDEMA_THRESHOLD: Final = 0.5
LIGAMENTOUS_BEHIND_MM: Final = 4.0


@dataclass(frozen=True, eq=False)
class Phantom:
    """The images, and the tissue that they show."""

    spec: PhantomSpec
    volume: Volume
    tissue: TissueMaps


def make_phantom(spec: PhantomSpec) -> Phantom:
    """Draw a phantom.

    Raises
    ------
    ConfigError : the six slices, a lesion or the anatomy do not fit into the stack
    """
    require_room(spec)
    random = np.random.default_rng(spec.seed)
    anatomy = np.zeros(spec.shape, dtype=np.uint8)
    signal = np.empty(spec.shape, dtype=np.float32)
    edema = np.zeros(spec.shape, dtype=np.float32)
    vessel, csf = np.zeros(spec.shape, dtype=bool), np.zeros(spec.shape, dtype=bool)
    for k in range(spec.shape[0]):
        drawn = _Slice(spec, k)
        anatomy[k], edema[k], vessel[k], csf[k] = drawn.anatomy, drawn.edema, drawn.vessel, drawn.csf
        signal[k] = ndimage.gaussian_filter(drawn.signal, 0.4)
    signal = _acquire(signal, spec, random)
    geometry = _geometry(spec)
    behind_mm = (np.arange(spec.shape[0]) - spec.transitional_slice + 0.5) * spec.spacing_mm[0]
    ligamentous = (1 / (1 + np.exp(-behind_mm / LIGAMENTOUS_BEHIND_MM))).astype(np.float32)
    return Phantom(
        spec,
        Volume(signal, geometry, SeriesRef(None, None)),
        TissueMaps(geometry, anatomy, edema, EDEMA_THRESHOLD, vessel, ligamentous, csf=csf),
    )


class _Joint:
    """Coordinates about one joint: `along` (mm, 0 in its middle, growing downwards), `off` (mm, lateral positive)."""

    def __init__(self, spec: PhantomSpec, side: Side, u: FloatArray, v: FloatArray, middle_v: float) -> None:
        lateral = -u if side is Side.RIGHT else u
        angle = math.radians(spec.joint_angle_degrees)
        across, down = lateral - spec.half_width_mm, v - middle_v
        self.along = -math.sin(angle) * across + math.cos(angle) * down
        self.off = math.cos(angle) * across + math.sin(angle) * down


class _Slice:
    """One slice: anatomy, signal, edema probability (0.5 on a lesion's border), vessels, cerebrospinal fluid."""

    def __init__(self, spec: PhantomSpec, slice_index: int) -> None:
        self._spec, self._k = spec, slice_index
        _, rows, columns = spec.shape
        _, dv, du = spec.spacing_mm
        self._v, self._u = np.meshgrid(
            np.arange(rows) * dv, (np.arange(columns) - (columns - 1) / 2) * du, indexing="ij"
        )
        self._middle_v = 0.46 * rows * dv
        self._behind_mm = (slice_index - spec.transitional_slice) * spec.spacing_mm[0]
        self._joints = {side: _Joint(spec, side, self._u, self._v, self._middle_v) for side in Side}
        self.csf = self._draw_canal()
        self.anatomy = self._draw_bones()
        self.vessel = self._draw_vessels()
        self.signal = self._draw_soft_tissue()
        self.edema = self._draw_lesions()

    def _draw_bones(self) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
        anatomy = np.zeros(self._u.shape, dtype=np.uint8)
        half = self._spec.height_mm(self._k) / 2
        ligamentous = self._behind_mm >= 0
        top = self._middle_v - 44.0 - 0.25 * min(self._behind_mm, 0.0)
        bottom = self._middle_v + 48.0 + 0.3 * min(self._behind_mm, 0.0)
        sacrum = (self._v > top + 0.003 * self._u**2) & (self._v < bottom - 0.012 * self._u**2)
        for side, joint in self._joints.items():
            # The bones meet on the joint and part above and below it, less far above where ligament joins them.
            gap = np.where(joint.along < 0, 5.0 if ligamentous else 8.0, 8.0)
            gap = np.where(np.abs(joint.along) <= half, 0.0, gap)
            wing_top = -half - (34.0 if ligamentous else 12.0)
            thickness = 20.0 + 0.12 * np.abs(joint.along)
            ilium = (joint.off > gap) & (joint.off < thickness) & (joint.along > wing_top) & (joint.along < 34.0)
            sacrum &= joint.off <= -gap
            anatomy[ilium] = ILIUM_LABEL[side]
        anatomy[sacrum] = AnatomyLabel.SACRUM
        if self._behind_mm < 0:
            lumbar = (np.abs(self._u) < 24.0) & (self._v < top - 7.0) & (self._v > top - 33.0)
            anatomy[lumbar] = AnatomyLabel.LUMBAR_VERTEBRA
        anatomy[self.csf] = AnatomyLabel.BACKGROUND
        return anatomy

    def _draw_canal(self) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
        if not self._spec.csf or self._behind_mm < 8.0:
            return np.zeros(self._u.shape, dtype=bool)
        along = (self._v > self._middle_v - 70.0) & (self._v < self._middle_v - 12.0)
        return np.asarray((np.abs(self._u) < 8.0) & along)

    def _draw_vessels(self) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
        vessel = np.zeros(self._u.shape, dtype=bool)
        if self._behind_mm > -8.0 or not self._spec.vessels:
            return vessel
        lowest = self._v[self.anatomy == AnatomyLabel.SACRUM].max()
        for across in (-26.0, -14.0, 14.0, 26.0):
            vessel |= (np.abs(self._u - across) < 2.2) & (self._v > lowest + 2.0) & (self._v < lowest + 20.0)
        to_bone = ndimage.distance_transform_edt(self.anatomy == 0, sampling=self._spec.spacing_mm[1:])
        return np.asarray(vessel & (to_bone > 4.0))

    def _draw_soft_tissue(self) -> FloatArray:
        tissue = self._spec.signal
        rows, columns = self._u.shape
        radius = 0.49 * np.array([rows * self._spec.spacing_mm[1], columns * self._spec.spacing_mm[2]])
        inside = ((self._v - radius[0] / 0.98) / radius[0]) ** 2 + (self._u / radius[1]) ** 2
        signal = np.where(inside < 1, tissue["fat"], tissue["air"]).astype(np.float64)
        signal[inside < 0.8] = tissue["muscle"]
        bone = self.anatomy > 0
        to_bone = ndimage.distance_transform_edt(~bone, sampling=self._spec.spacing_mm[1:])
        between = (np.abs(self._u) < self._spec.half_width_mm - 10) & ~bone
        signal[between & (self._v < self._middle_v) & (to_bone < 4.0)] = tissue["disc"]
        for joint in self._joints.values():
            gap = ~bone & (np.abs(joint.off) < 8.0) & (joint.along < 0) & (joint.along > -60.0)
            signal[gap & (self._behind_mm >= 0)] = tissue["ligament"]
        if self._behind_mm < -8.0:
            bladder = ((self._v - self._middle_v - 85.0) / 22.0) ** 2 + (self._u / 34.0) ** 2 < 1
            signal[bladder & (to_bone > 6.0)] = tissue["bladder"]
        signal[(to_bone > 0) & (to_bone < 1.6)] = tissue["cortex"]
        signal[bone] = tissue["marrow"]
        half = self._spec.height_mm(self._k) / 2
        for joint in self._joints.values():
            signal[(np.abs(joint.off) < 0.9) & (np.abs(joint.along) <= half)] = tissue["joint"]
        signal[self.vessel] = tissue["vessel"]
        signal[self.csf] = self._spec.csf
        return signal

    def _draw_lesions(self) -> FloatArray:
        probability = np.zeros(self._u.shape)
        pixel = math.sqrt(self._spec.spacing_mm[1] * self._spec.spacing_mm[2])
        for lesion in self._spec.lesions:
            if lesion.slice_index != self._k:
                continue
            joint = self._joints[lesion.side]
            ilium = lesion.quadrant.bone is Bone.ILIUM
            depth = joint.off if ilium else -joint.off
            quarter = self._spec.height_mm(self._k) / 4
            along = joint.along + (quarter if lesion.quadrant.level is Level.UPPER else -quarter)
            inside_mm = np.minimum(lesion.length_mm / 2 - np.abs(along), lesion.depth_mm - depth)
            # A lesion that begins at the joint line is not cut there: `bone` excludes the other bone's pixels.
            if lesion.start_mm > 0:
                inside_mm = np.minimum(inside_mm, depth - lesion.start_mm)
            bone = self.anatomy == (ILIUM_LABEL[lesion.side] if ilium else AnatomyLabel.SACRUM)
            probability = np.maximum(probability, np.where(bone, np.clip(0.5 + inside_mm / (2 * pixel), 0, 1), 0))
            self.signal[bone & (inside_mm >= 0)] = lesion.signal * self._spec.signal["vessel"]
        if self._spec.lumbar_edema:
            lumbar = self.anatomy == AnatomyLabel.LUMBAR_VERTEBRA
            plate = lumbar & (self._v > self._v[lumbar].max(initial=0.0) - 9.0)
            self.signal[plate] = 0.9 * self._spec.signal["vessel"]
            probability[plate] = 1.0
        return probability


def _acquire(signal: Float32Array, spec: PhantomSpec, random: np.random.Generator) -> Float32Array:
    """Return the magnitude image: the signal with a smooth gain and noise, in the units of the scanner."""
    if spec.bias:
        knots = random.normal(0.0, spec.bias, (2, 4, 4))
        field_ = ndimage.zoom(knots, [n / k for n, k in zip(spec.shape, knots.shape, strict=True)], order=1)
        signal = signal * np.exp(ndimage.gaussian_filter(field_, (1, 20, 20))).astype(np.float32)
    if spec.noise:
        spread = spec.noise * spec.signal["marrow"]
        noise = random.normal(0.0, spread, (2, *spec.shape)).astype(np.float32)
        signal = np.hypot(signal + noise[0], noise[1])
    return (signal * spec.gain).astype(np.float32)


def _geometry(spec: PhantomSpec) -> Geometry:
    cos, sin = math.cos(math.radians(spec.tilt_degrees)), math.sin(math.radians(spec.tilt_degrees))
    directions = ((0.0, cos, sin), (0.0, sin, -cos), (1.0, 0.0, 0.0))
    extent = (np.array(spec.shape) - 1) * np.array(spec.spacing_mm) / 2
    origin = -np.array(directions).T @ extent
    x, y, z = (float(p) for p in origin)
    return Geometry(spec.shape, (x, y, z), directions, spec.spacing_mm)
