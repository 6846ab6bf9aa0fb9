"""Scans without STIR that teach the bone network shapes: T1 with outlined bones, straight coronal pelves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from scipy import ndimage

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel
from sparcc_pipeline.imaging.nifti import read_nifti
from sparcc_pipeline.training.data.labels import IGNORE, SOME_BONE
from sparcc_pipeline.volume import Float32Array, LabelArray

PEOPLE_WITH_T1_ONLY: Final = ("1001", "2016", "3009")
"""T1 and one outline of all bones, no STIR and no joint lines. None of them is one of PEOPLE: registration fits no T1
scan of one group to one of the other (21 pairs), but all five pairs of one person before and after treatment."""

PEOPLE_WITH_WEAK_BONES: Final = {
    "5489-1897": ("5489", "1897"),
    "7777-8888": ("7777", "8888"),
    "6767-9090": ("6767", "9090"),
    "1005-1006": ("1005", "1006"),
    "2005-3005": ("2005", "3005"),
    "2007-3007": ("2007", "3007"),
    "2008-3008": ("2008", "3008"),
    "2011-3011": ("2011", "3011"),
}
"""T1 before and after treatment of eight more people, by person: both scans of a person are always in one fold. No
reader drew the bones: they are the mean of three networks, all bones as one label."""

WEAK_BORDER_MM: Final = 2.0
"""Pixels this close to the outline of bones that no reader drew are IGNORE: the outline itself is not learned."""

PELVIC_HIP, PELVIC_SPINE, PELVIC_SACRUM = 2, 3, 4
"""Codes of the hand-drawn bones of `pelvic_t1/`; 1 is the femur."""

PELVIC_GAP_MM: Final = 5.0


@dataclass(frozen=True, eq=False)
class Pelvis:
    """One scan without a reading of edema: `anatomy` holds `AnatomyLabel` codes, SOME_BONE or IGNORE."""

    name: str
    signal: Float32Array
    anatomy: LabelArray
    spacing_mm: tuple[float, float, float]


def load_pelvis(data: Path, name: str) -> Pelvis:
    """Read one pelvis of `pelvic_t1/`: straight coronal, hand-drawn bones, no sacroiliitis.

    The gap of about 2 mm between sacrum and hip bone is closed as in the other labels.
    """
    root = data / "pelvic_t1"
    image = read_nifti(root / f"{name}_T1.nii.gz")
    drawn = np.rint(read_nifti(root / f"{name}_bones.nii.gz").signal).astype(np.uint8)
    spacing = image.geometry.spacing_mm
    anatomy = np.zeros(drawn.shape, dtype=np.uint8)
    anatomy[drawn == PELVIC_SACRUM] = AnatomyLabel.SACRUM
    anatomy[drawn == PELVIC_SPINE] = AnatomyLabel.LUMBAR_VERTEBRA
    hip = drawn == PELVIC_HIP
    middle = np.nonzero(drawn == PELVIC_SACRUM)[2].mean()
    columns = np.arange(drawn.shape[2])[None, None, :]
    anatomy[hip & (columns < middle)] = AnatomyLabel.RIGHT_ILIUM
    anatomy[hip & (columns >= middle)] = AnatomyLabel.LEFT_ILIUM
    for k in range(len(anatomy)):
        close_joint(anatomy[k], spacing[1:])
    return Pelvis(name, image.signal, anatomy, spacing)


def load_outlined(data: Path, name: str) -> Pelvis:
    """Read one of PEOPLE_WITH_T1_ONLY from the folder that holds `sij_mri/`.

    Raises
    ------
    InputError : a file is missing or cannot be read
    """
    root = data / "sij_mri" / "t1w_only"
    image, bone = read_nifti(root / f"{name}_T1W.nii.gz"), read_nifti(root / f"{name}_bone.nii.gz").signal > 0
    return Pelvis(name, image.signal, np.where(bone, np.uint8(SOME_BONE), np.uint8(0)), image.geometry.spacing_mm)


def load_weakly_outlined(data: Path, person: str) -> list[Pelvis]:
    """Read both scans of one of PEOPLE_WITH_WEAK_BONES from the folder that holds `sij_mri/`; both have its name.

    Raises
    ------
    InputError : a file is missing or cannot be read
    """
    root = data / "sij_mri" / "t1w_more"
    return [_load_weak(root, person, scan) for scan in PEOPLE_WITH_WEAK_BONES[person]]


def _load_weak(root: Path, person: str, scan: str) -> Pelvis:
    image = read_nifti(root / f"{scan}_T1W.nii.gz")
    bone = read_nifti(root / f"{scan}_bone_pseudo.nii.gz").signal > 0
    anatomy = np.where(bone, np.uint8(SOME_BONE), np.uint8(0))
    sampling = image.geometry.in_plane_mm
    for k, drawn in enumerate(bone):
        if drawn.any():
            inside, outside = (ndimage.distance_transform_edt(part, sampling=sampling) for part in (drawn, ~drawn))
            anatomy[k][np.maximum(inside, outside) <= WEAK_BORDER_MM] = IGNORE
    return Pelvis(person, image.signal, anatomy, image.geometry.spacing_mm)


def close_joint(anatomy: LabelArray, in_plane_mm: tuple[float, float]) -> None:
    """Give the gap between sacrum and an ilium to the nearer of the two, in place; `anatomy` is (rows, columns)."""
    sacrum = anatomy == AnatomyLabel.SACRUM
    for label in ILIUM_LABEL.values():
        ilium = anatomy == label
        if not sacrum.any() or not ilium.any():
            continue
        to_sacrum = ndimage.distance_transform_edt(~sacrum, sampling=in_plane_mm)
        to_ilium = ndimage.distance_transform_edt(~ilium, sampling=in_plane_mm)
        gap = (anatomy == 0) & (to_sacrum + to_ilium <= PELVIC_GAP_MM)
        anatomy[gap] = np.where(to_sacrum[gap] < to_ilium[gap], AnatomyLabel.SACRUM, label)
