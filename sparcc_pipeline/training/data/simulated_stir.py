"""STIR simulated from label maps of bones: real shapes, random contrast. For the bone network only.

Each tissue gets a random signal and texture; coils, noise, partial volume and slice spacing are random too. A network
that finds the bones in all of these knows their shape and does not rely on one contrast. Source of the idea:
[Billot2023].
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.imaging.nifti import read_nifti
from sparcc_pipeline.training.data.pelves import Pelvis, close_joint
from sparcc_pipeline.volume import BoolArray, Float32Array, FloatArray, LabelArray

FOLDER: Final = "semicoronal_bones"

DRAWN_LABELS: Final = {1: AnatomyLabel.RIGHT_ILIUM, 2: AnatomyLabel.SACRUM, 3: AnatomyLabel.LEFT_ILIUM}
"""Codes of the label maps: 1 is the ilium at the left of the image, the patient's right."""

SPACING_MM: Final = (3.0, 5.0)
"""The files do not hold the distance of slices: it is random."""

SMOOTH_PIXELS: Final = 1.5
"""The label maps were made by a network and are ragged; smoothing by this rounds them."""

SMALLEST_PIECE_PIXELS: Final = 60

TISSUES: Final = {
    "marrow": (0.7, 1.6),
    "soft": (0.3, 1.6),
    "fat": (0.1, 0.9),
    "fluid": (1.8, 4.0),
    "cortex": (0.1, 0.5),
}
"""Range of the mean signal of each tissue, in units of typical marrow."""

EDEMA_SHARE: Final = 0.5
"""Share of the scans that show bright marrow in patches, so that edema is still bone."""


@dataclass(frozen=True)
class BoneMap:
    """The bones of one person without an image: (slices, rows, columns) `AnatomyLabel` codes."""

    name: str
    anatomy: LabelArray
    pixel_mm: float


def load_bone_maps(data: Path) -> list[BoneMap]:
    """Read all label maps of the folder that holds `semicoronal_bones/`, in order of name.

    Raises
    ------
    InputError : the list of cases is missing, or a file cannot be read
    """
    cases = data / FOLDER / "cases.csv"
    if not cases.is_file():
        raise InputError(f"expected the list of label maps in {cases}, found no such file; see models/README.md")
    with cases.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["case"])
    return [_load(data / FOLDER, row["case"], float(row["px_mm_if_sacrum_113mm"])) for row in rows]


def _load(folder: Path, case: str, pixel_mm: float) -> BoneMap:
    drawn = np.rint(read_nifti(folder / f"case{case}_bones.nii.gz").signal).astype(np.uint8)
    return BoneMap(f"semicoronal-{case}", _smoothed(drawn), pixel_mm)


def _smoothed(drawn: LabelArray) -> LabelArray:
    """Return the labels with round outlines and without specks, slice by slice."""
    anatomy = np.zeros(drawn.shape, dtype=np.uint8)
    for k, image in enumerate(drawn):
        codes = [0, *DRAWN_LABELS]
        shares = np.stack([ndimage.gaussian_filter((image == code).astype(float), SMOOTH_PIXELS) for code in codes])
        found = np.argmax(shares, axis=0)
        for code, label in DRAWN_LABELS.items():
            anatomy[k][_large_pieces(found == code)] = label
    return anatomy


def _large_pieces(mask: BoolArray) -> BoolArray:
    pieces, _ = ndimage.label(mask)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(sizes[pieces] >= SMALLEST_PIECE_PIXELS)


def simulate_stir(bones: BoneMap, seed: int) -> Pelvis:
    """Return a scan of these bones, with everything but their shape drawn from `seed`."""
    random = np.random.default_rng(seed)
    spacing = (float(random.uniform(*SPACING_MM)), bones.pixel_mm, bones.pixel_mm)
    level = {tissue: float(random.uniform(*limits)) for tissue, limits in TISSUES.items()}
    signal = np.stack([_tissue(image, level, random) for image in bones.anatomy])
    anatomy = bones.anatomy.copy()
    for image in anatomy:
        # The joint is dark in the image; its label belongs to the bones, as in the labels of real scans.
        close_joint(image, spacing[1:])
    return Pelvis(bones.name, _acquired(signal, random), anatomy, spacing)


def _tissue(anatomy: LabelArray, level: dict[str, float], random: np.random.Generator) -> FloatArray:
    """Return the signal of one slice: soft tissue in patches, air around it, marrow within dark cortex."""
    shape = anatomy.shape
    rows, columns = np.indices(shape)
    patches = _field(shape, 14, random)
    signal = np.where(patches > 0.6, level["fat"], level["soft"]) * np.exp(0.15 * _field(shape, 6, random))
    signal[_field(shape, 9, random) > 2.0] = level["fluid"]
    centre = np.array(shape) / 2 + random.uniform(-15, 15, 2)
    body = ((rows - centre[0]) / (0.46 * shape[0])) ** 2 + ((columns - centre[1]) / (0.49 * shape[1])) ** 2
    signal[body > 1] = 0.05
    bone = anatomy > 0
    signal[ndimage.binary_dilation(bone, iterations=int(random.integers(1, 4)))] = level["cortex"]
    marrow = level["marrow"] * np.exp(0.1 * _field(shape, 5, random))
    if random.uniform() < EDEMA_SHARE:
        marrow = marrow * (1 + random.uniform(0.3, 2.0) * (_field(shape, 12, random) > 1.2))
    return np.where(bone, marrow, signal)


def _field(shape: tuple[int, ...], sigma: float, random: np.random.Generator) -> FloatArray:
    """Return a smooth random field of unit spread."""
    knots = random.normal(size=[int(np.ceil(n / sigma)) + 3 for n in shape])
    field = ndimage.zoom(knots, sigma, order=3)[: shape[0], : shape[1]]
    return np.asarray(field / field.std())


def _acquired(signal: FloatArray, random: np.random.Generator) -> Float32Array:
    """Return the magnitude image: partial volume between and within slices, coil, noise."""
    sigma = (random.uniform(0.0, 0.5), *(2 * (random.uniform(0.4, 1.0),)))
    smooth = ndimage.gaussian_filter(signal, sigma)
    coil = np.exp(random.uniform(0.0, 0.25) * _field(smooth.shape[1:], 120, random))
    noise: NDArray[np.float64] = random.normal(0.0, random.uniform(0.03, 0.12), (2, *smooth.shape))
    magnitude: Float32Array = np.hypot(smooth * coil + noise[0], noise[1]).astype(np.float32)
    return magnitude
