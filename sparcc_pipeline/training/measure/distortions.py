"""Distort real scans as other scanners, protocols and patients do: pure functions of a scan and a seed.

The person and the disease stay the same, so a score should stay the same. The patient never moves: only slices, signal
and field of view change, so every slice can be found again by its place.

Limits: smaller pixels and slices between slices are interpolated, larger pixels are averaged, and tissue outside the
scan is the scan mirrored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from scipy import ndimage
from scipy import signal as fourier

from sparcc_pipeline.dicom.input.discover import discover
from sparcc_pipeline.dicom.input.read import read_series
from sparcc_pipeline.dicom.input.select import find_stir
from sparcc_pipeline.dicom.input.source import open_source
from sparcc_pipeline.dicom.write import LARGEST_STORED, write_mr_series
from sparcc_pipeline.rigid import RigidTransform, rotation_about
from sparcc_pipeline.sparcc.slices import SixSlices
from sparcc_pipeline.training.measure.repeat_scan import Repeat, repeat_scan
from sparcc_pipeline.volume import BoolArray, Float32Array, FloatArray, Geometry, SeriesRef, StorageOrder, Volume

FIELD_EXPONENT: Final = {"1.5t": 0.9, "3t": 1.1}
"""Signal over marrow to this power. With TI adapted to the field, edema over marrow differs by a few percent between
1.5 and 3 T (inversion recovery with T1 of 0.75 and 1.2 s at 1.5 T, 0.95 and 1.5 s at 3 T); echo times of 40 to 60 ms
differ by more (T2 of 40 and 60 ms). The field of the real scans is not known (project decision)."""

BIAS: Final = 0.4
"""Largest relative change of the signal by a smooth field."""

COIL_FALL: Final = 0.6
"""Share of the signal lost from the lower to the upper edge, as with a coil under the sacrum."""

GHOST: Final = 0.25
GHOST_SHARE: Final = 0.21
"""Strength of each of the two ghosts, and its distance from the moving tissue as a share of the image: breathing and
pulse modulate the lines of k-space periodically."""

HALF_SNR: Final = 3**0.5
"""Added noise, as a multiple of the scan's own, that doubles the noise."""

WING_MARGIN_MM: Final = 22.0
"""Width of ilium beside the joints that stays when the field of view cuts the iliac wings."""

FEMUR_FIELD_MM: Final = 330.0
TISSUE_BLUR_MM: Final = 12.0
TISSUE_FROM: Final = 0.4
"""Beyond the scan its edge is repeated: blurred by TISSUE_BLUR_MM, no brighter than marrow, with the scan's own noise.
Where it is darker than TISSUE_FROM of marrow it is air."""

FEMORAL_HEAD_MM: Final = (24.0, 2.5)
"""Radius of a femoral head and width of its dark cortex."""
FEMUR_PLACE_MM: Final = (75.0, 90.0)
"""Position of the heads: below the lower ends of the joints, and to each side of their middle."""

FULL_WIDTH: Final = 2.355
"""Full width at half maximum of a normal curve, in standard deviations: the profile of a thicker slice."""

ENDS_SHOWN: Final = 2
"""Slices beyond the six at each end of a stack of ten."""


@dataclass(frozen=True, eq=False)
class Scan:
    """A real scan and the findings of its own score.

    Parameters
    ----------
    bones : (slices, rows, columns) bool, sacrum and ilia
    marrow, noise : signal of normal marrow, standard deviation of its noise
    joints_mm : (n, 3) LPS points of the joint lines
    six : the slices scored
    """

    volume: Volume
    bones: BoolArray
    marrow: float
    noise: float
    joints_mm: FloatArray
    six: SixSlices


Change = Callable[[Scan, int], Volume]
"""Returns the distorted scan, for a seed."""


@dataclass(frozen=True)
class Distortion:
    """One distortion; `name` is for --only, `words` for the tables."""

    name: str
    words: str
    change: Change


def _with(scan: Scan, signal: FloatArray | Float32Array, geometry: Geometry | None = None) -> Volume:
    geometry = geometry or scan.volume.geometry
    series = SeriesRef(None, None, source_kind=scan.volume.series.source_kind)
    return Volume(np.maximum(signal, 0).astype(np.float32), geometry, series)


def pixels(scan: Scan, _seed: int, *, mm: float) -> Volume:
    """Return pixels of `mm` as scanners do: k-space is cut off, or filled with zeros."""
    geometry = scan.volume.geometry
    signal: FloatArray = scan.volume.signal.astype(float)
    spacing = list(geometry.spacing_mm)
    for axis in (1, 2):
        count = round(geometry.shape[axis] * geometry.spacing_mm[axis] / mm)
        spacing[axis] *= geometry.shape[axis] / count
        signal = fourier.resample(signal, count, axis=axis)
    shape = (signal.shape[0], signal.shape[1], signal.shape[2])
    return _with(scan, signal, replace(geometry, shape=shape, spacing_mm=(spacing[0], spacing[1], spacing[2])))


def spacing(scan: Scan, _seed: int, *, mm: float) -> Volume:
    """Return slices `mm` apart and as thick, over the same extent."""
    geometry = scan.volume.geometry
    old, (slices, rows, columns) = geometry.spacing_mm[0], geometry.shape
    thicker = float(np.sqrt(max(mm**2 - old**2, 0.0))) / FULL_WIDTH / old
    volume = scan.volume
    if thicker:
        volume = _with(scan, ndimage.gaussian_filter1d(volume.signal, thicker, axis=0, mode="nearest"))
    repeat = Repeat(shape=(int(slices * old / mm), rows, columns), spacing_mm=(mm, *geometry.in_plane_mm))
    return repeat_scan(volume, repeat, scan.marrow)


def ten_slices(scan: Scan, _seed: int) -> Volume:
    """Return a short stack about the joints: the six slices and two beyond them at each end."""
    first = min(max(scan.six.first - ENDS_SHOWN, 0), scan.volume.geometry.shape[0] - 10)
    return _with(scan, scan.volume.signal[first : first + 10], _from_slice(scan.volume.geometry, first, 10))


def forty_slices(scan: Scan, _seed: int) -> Volume:
    """Return a long stack: the scan mirrored beyond both ends."""
    more = 40 - scan.volume.geometry.shape[0]
    before = more // 2
    signal = np.pad(scan.volume.signal, ((before, more - before), (0, 0), (0, 0)), mode="reflect")
    return _with(scan, signal, _from_slice(scan.volume.geometry, -before, 40))


def _from_slice(geometry: Geometry, first: int, count: int) -> Geometry:
    x, y, z = (float(mm) for mm in (geometry.affine @ [first, 0, 0, 1])[:3])
    return replace(geometry, shape=(count, *geometry.shape[1:]), origin_mm=(x, y, z))


def field(scan: Scan, _seed: int, *, name: str) -> Volume:
    """Return the contrast of another field strength."""
    return _with(scan, scan.marrow * (scan.volume.signal / scan.marrow) ** FIELD_EXPONENT[name])


def bias(scan: Scan, seed: int) -> Volume:
    """Multiply the signal by a smooth random field."""
    return repeat_scan(scan.volume, Repeat(bias=BIAS, seed=seed), scan.marrow)


def coil(scan: Scan, _seed: int) -> Volume:
    """Reduce the signal from the lower edge to the upper one."""
    rows = scan.volume.geometry.shape[1]
    return _with(scan, scan.volume.signal * (1 - COIL_FALL * np.linspace(1, 0, rows))[None, :, None])


def ghosts(scan: Scan, seed: int, *, axis: int) -> Volume:
    """Add two ghosts along the phase direction, of vessels and bowel: tissue outside bone that is brighter than marrow.

    Their phase against the tissue beneath is random, so they brighten or darken it.
    """
    signal = scan.volume.signal.astype(float)
    moving = np.where(scan.bones, 0.0, np.maximum(signal - scan.marrow, 0.0))
    apart = round(GHOST_SHARE * signal.shape[axis])
    phase = np.exp(2j * np.pi * np.random.default_rng(seed).random())
    ghost = np.roll(moving, apart, axis) + np.roll(moving, -apart, axis)
    return _with(scan, np.abs(signal + GHOST * phase * ghost))


def noise(scan: Scan, seed: int) -> Volume:
    """Double the noise: Rician noise, as in magnitude images. Source: [Gudbjartsson1995]."""
    real, imaginary = np.random.default_rng(seed).normal(0, HALF_SNR * scan.noise, (2, *scan.volume.geometry.shape))
    return _with(scan, np.hypot(scan.volume.signal + real, imaginary))


def turned(scan: Scan, _seed: int, *, axis: int | None, degrees: float) -> Volume:
    """Turn the slices about the middle of the joints: within their plane (`axis` None), or about an LPS axis."""
    geometry = scan.volume.geometry
    if axis is None:
        basis = np.array(geometry.directions, dtype=float)
        turn = basis.T @ rotation_about(0, degrees) @ basis
    else:
        turn = rotation_about(axis, degrees)
    placement = RigidTransform.about(scan.joints_mm.mean(axis=0), turn, np.zeros(3))
    return repeat_scan(scan.volume, Repeat(placement=placement), scan.marrow)


def narrow(scan: Scan, _seed: int) -> Volume:
    """Return a field of view that cuts the iliac wings."""
    geometry = scan.volume.geometry
    columns = geometry.to_index(scan.joints_mm)[:, 2]
    margin = WING_MARGIN_MM / geometry.spacing_mm[2]
    first = max(int(columns.min() - margin), 0)
    last = min(int(columns.max() + margin), geometry.shape[2] - 1)
    x, y, z = (float(mm) for mm in (geometry.affine @ [0, 0, first, 1])[:3])
    shape = (geometry.shape[0], geometry.shape[1], last - first + 1)
    return _with(scan, scan.volume.signal[:, :, first : last + 1], replace(geometry, shape=shape, origin_mm=(x, y, z)))


def down_to_the_femora(scan: Scan, seed: int) -> Volume:
    """Return a large field of view: soft tissue beyond the edges, two round bones with dark cortex below the joints.

    Air at the lower edge stays air. The bones are drawn only on slices with tissue at that edge, the anterior ones.
    """
    geometry, random = scan.volume.geometry, np.random.default_rng(seed)
    rows, columns = (round(FEMUR_FIELD_MM / mm) for mm in geometry.in_plane_mm)
    left = (columns - geometry.shape[2]) // 2
    pad = ((0, 0), (0, rows - geometry.shape[1]), (left, columns - geometry.shape[2] - left))
    outside = np.pad(np.zeros(geometry.shape, dtype=bool), pad, constant_values=True)
    signal = np.pad(scan.volume.signal.astype(float), pad, mode="edge")
    smooth = ndimage.gaussian_filter(signal, (0, *(TISSUE_BLUR_MM / mm for mm in geometry.in_plane_mm)))
    tissue = smooth > TISSUE_FROM * scan.marrow
    beyond = np.where(tissue, np.clip(smooth, 0, scan.marrow), 0.0)
    real, imaginary = random.normal(0, scan.noise, (2, *signal.shape))
    signal[outside] = np.hypot(beyond + real, imaginary)[outside]
    index = geometry.to_index(scan.joints_mm)[:, 1:]
    radius, cortex = FEMORAL_HEAD_MM
    for side in (-1, 1):
        row = index[:, 0].max() + FEMUR_PLACE_MM[0] / geometry.spacing_mm[1]
        column = index[:, 1].mean() + left + side * FEMUR_PLACE_MM[1] / geometry.spacing_mm[2]
        grid = np.indices((rows, columns))
        away = np.hypot(*((grid[a] - c) * geometry.in_plane_mm[a] for a, c in enumerate((row, column))))
        for k in np.flatnonzero(tissue[:, int(row), int(column)]):
            signal[k][away <= radius] = scan.marrow
            signal[k][(away <= radius) & (away > radius - cortex)] = 0.2 * scan.marrow
    x, y, z = (float(mm) for mm in (geometry.affine @ [0, 0, -left, 1])[:3])
    return _with(scan, signal, replace(geometry, shape=(geometry.shape[0], rows, columns), origin_mm=(x, y, z)))


def from_the_back(scan: Scan, seed: int) -> Volume:
    """Write the scan as DICOM from the most posterior slice on, with InstanceNumber backwards, and read it again."""
    largest = float(scan.volume.signal.max())
    scaled = scan.volume.signal * np.float32(min(LARGEST_STORED / largest, 1.0)) if largest else scan.volume.signal
    with TemporaryDirectory() as folder:
        stored = StorageOrder((0, 1, 2), (True, False, False))
        study = Path(folder) / "study"
        write_mr_series(
            _with(scan, scaled),
            study,
            style="siemens",
            patient_id="P",
            seed=str(seed),
            stored=stored,
            reverse_instance_numbers=True,
        )
        with open_source(study) as files:
            return read_series(find_stir(discover(files)).series)


DISTORTIONS: Final = (
    Distortion("pixels-0.3", "pixels of 0.3 mm", partial(pixels, mm=0.3)),
    Distortion("pixels-0.9", "pixels of 0.9 mm", partial(pixels, mm=0.9)),
    Distortion("pixels-1.1", "pixels of 1.1 mm", partial(pixels, mm=1.1)),
    Distortion("spacing-3.0", "slices 3.0 mm apart", partial(spacing, mm=3.0)),
    Distortion("spacing-4.4", "slices 4.4 mm apart", partial(spacing, mm=4.4)),
    Distortion("spacing-5.5", "slices 5.5 mm apart", partial(spacing, mm=5.5)),
    Distortion("slices-10", "10 slices", ten_slices),
    Distortion("slices-40", "40 slices", forty_slices),
    Distortion("field-1.5t", "contrast of 1.5 T", partial(field, name="1.5t")),
    Distortion("field-3t", "contrast of 3 T", partial(field, name="3t")),
    Distortion("bias", f"bias field of {BIAS:.0%}", bias),
    Distortion("coil", f"coil shading, {COIL_FALL:.0%} lost above", coil),
    Distortion("ghosts-feet-head", f"motion ghosts of {GHOST:.0%}, feet-head", partial(ghosts, axis=1)),
    Distortion("ghosts-right-left", f"motion ghosts of {GHOST:.0%}, right-left", partial(ghosts, axis=2)),
    Distortion("noise", "half the signal-to-noise ratio", noise),
    Distortion("rolled-left", "rolled 15 degrees in the plane", partial(turned, axis=None, degrees=15.0)),
    Distortion("rolled-right", "rolled -15 degrees in the plane", partial(turned, axis=None, degrees=-15.0)),
    Distortion("tilted-forward", "tilted 15 degrees", partial(turned, axis=0, degrees=15.0)),
    Distortion("tilted-back", "tilted -15 degrees", partial(turned, axis=0, degrees=-15.0)),
    Distortion("turned", "turned 15 degrees, one side in front", partial(turned, axis=2, degrees=15.0)),
    Distortion("narrow", "field of view that cuts the iliac wings", narrow),
    Distortion("femora", "field of view down to the femora", down_to_the_femora),
    Distortion("from-the-back", "slices stacked from the back", from_the_back),
)
"""In the order of the tables."""
