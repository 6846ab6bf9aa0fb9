"""Read people for training: STIR, T1, bones, joint lines, readings, six slices.

Arrays are in the project's axes (slices anterior -> posterior, rows superior -> inferior, columns right -> left).
The files of `sij_mri/` store (i, j, k) = (to the patient's left, up, posterior): column i, row n_j - 1 - j, slice k.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Side
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.imaging.nifti import read_nifti
from sparcc_pipeline.volume import Float32Array, FloatArray, LabelArray, Volume, sacroiliac_bones

PEOPLE_WITH_LESIONS: Final = ("1003", "1007", "1013", "1016", "1234", "3002", "4386")
PERSON_WITHOUT_EDEMA: Final = "2015"
PERSON_WITH_UNREAD_EDEMA: Final = "2014"
"""2014 has edema that no reader drew. Its bones are learned; its marrow must never count as free of edema."""

UNREAD_EDEMA_SLICES: Final = {Side.RIGHT: (6, 10), Side.LEFT: (7, 9)}
"""First and last slice on which 2014 shows edema, in the upper sacrum beside each joint (our own reading)."""

PEOPLE: Final = (*PEOPLE_WITH_LESIONS, PERSON_WITHOUT_EDEMA, PERSON_WITH_UNREAD_EDEMA)
READINGS: Final = ("R11", "R12", "R21", "R22")
"""Reader 1 twice (R11, R12), reader 2 twice (R21, R22)."""

IGNORE: Final = 255
"""Label of pixels that no loss and no figure counts."""

SOME_BONE: Final = 254
"""Label of bone without a name: sacrum, ilium or lumbar vertebra."""

CARRIED_BEHIND: Final = 2
"""Number of slices behind the cartilaginous ones to which labels are carried; farther back bones are IGNORE."""

_SAME_BONE_SHARE: Final = 0.85

JointLines = dict[tuple[int, Side], FloatArray]


@dataclass(frozen=True, eq=False)
class Person:
    """One person of `sij_mri/`, in the project's axes.

    `anatomy` holds `AnatomyLabel` codes and IGNORE; `readings` is (4, slices, rows, columns) bool or None where no
    reader read; `joint_lines` are (n, 2) (row, column) pixel positions, upper end first.
    """

    name: str
    stir: Volume
    t1: Float32Array
    anatomy: LabelArray
    readings: NDArray[np.bool_] | None
    joint_lines: JointLines
    cartilaginous: tuple[int, int]
    six_slices: tuple[int, int]

    @property
    def known_anatomy(self) -> LabelArray:
        """(slices, rows, columns) `AnatomyLabel` codes, background where the label is IGNORE."""
        return np.where(self.anatomy == IGNORE, np.uint8(0), self.anatomy)


def load_person(data: Path, name: str) -> Person:
    """Read one person from the folder that holds `sij_mri/`.

    Raises
    ------
    InputError : a file is missing or cannot be read
    """
    root = data / "sij_mri"
    stir = read_nifti(root / "stir" / f"{name}_STIR.nii.gz")
    bone = read_nifti(root / "bone" / f"{name}_bone.nii.gz").signal > 0
    lines, cartilaginous, six = _read_joint_lines(root / "joint_lines" / f"{name}_joint_lines.json", bone.shape[1])
    readings = None
    if name in PEOPLE_WITH_LESIONS:
        files = [root / "lesions" / f"{name}_inflammation_{reading}.nii.gz" for reading in READINGS]
        readings = np.stack([read_nifti(file).signal > 0 for file in files])
    anatomy = split_bones(bone, lines, cartilaginous)
    t1 = read_nifti(root / "t1w" / f"{name}_T1W.nii.gz").signal
    return Person(name, stir, t1, anatomy, readings, lines, cartilaginous, six)


def _read_joint_lines(path: Path, rows: int) -> tuple[JointLines, tuple[int, int], tuple[int, int]]:
    if not path.is_file():
        raise InputError(f"expected joint lines in {path}, found no such file; see the README of the data")
    content = json.loads(path.read_text())
    lines: JointLines = {}
    for index, sides in content["lines"].items():
        for side in Side:
            if sides.get(side.value):
                points = np.array(sides[side.value], dtype=float)
                line = np.stack([rows - 1 - points[:, 1], points[:, 0]], axis=1)
                lines[int(index), side] = line if line[0, 0] <= line[-1, 0] else line[::-1]
    first, last = content["cartilaginous_range"]
    first_six, last_six = content["six_slice_window"]
    return lines, (first, last), (first_six, last_six)


def split_bones(bone: NDArray[np.bool_], lines: JointLines, cartilaginous: tuple[int, int]) -> LabelArray:
    """Sacrum, right and left ilium and lumbar vertebrae from one bone mask (slices, rows, columns) bool.

    On the cartilaginous slices the joint lines cut the mask; from there the labels are carried, slice by slice, to
    the anterior and posterior slices.
    """
    anatomy = np.zeros(bone.shape, dtype=np.uint8)
    first, last = cartilaginous
    middle = (first + last) // 2
    for k in range(first, last + 1):
        anatomy[k] = _cut(bone[k], {side: lines[k, side] for side in Side if (k, side) in lines})
    _name_lumbar(anatomy, middle, first, last)
    for k in range(first - 1, -1, -1):
        anatomy[k] = _carry(bone[k], anatomy[k + 1])
    for k in range(last + 1, len(bone)):
        anatomy[k] = _carry(bone[k], anatomy[k - 1])
    behind = last + CARRIED_BEHIND + 1
    anatomy[behind:][bone[behind:]] = IGNORE
    return anatomy


def _cut(bone: NDArray[np.bool_], lines: dict[Side, FloatArray]) -> LabelArray:
    """Label one slice: ilium lateral of a joint line, sacrum medial of it (still with the lumbar vertebrae)."""
    label = np.where(bone, np.uint8(AnatomyLabel.SACRUM), np.uint8(0))
    columns = np.arange(bone.shape[1])[None, :]
    for side, line in lines.items():
        joint = _extended_column(line, np.arange(bone.shape[0]))[:, None]
        lateral = columns < joint if side is Side.RIGHT else columns > joint
        label[bone & lateral] = ILIUM_LABEL[side]
    for side in Side:
        pieces, count = ndimage.label(label == ILIUM_LABEL[side])
        if count > 1:
            sizes = ndimage.sum_labels(np.ones_like(pieces), pieces, np.arange(1, count + 1))
            label[(pieces > 0) & (pieces != 1 + int(np.argmax(sizes)))] = AnatomyLabel.SACRUM
    return label


def _extended_column(line: FloatArray, rows: NDArray[np.int_]) -> FloatArray:
    """Return the column of the joint line at each row; beyond its ends the line keeps the direction of its end."""
    column = np.interp(rows, line[:, 0], line[:, 1])
    for end, stretch, beyond in ((line[0], line[:15], rows < line[0, 0]), (line[-1], line[-15:], rows > line[-1, 0])):
        slope = np.polyfit(stretch[:, 0], stretch[:, 1], 1)[0] if np.ptp(stretch[:, 0]) > 0 else 0.0
        column[beyond] = end[1] + np.clip(slope, -1.0, 1.0) * (rows[beyond] - end[0])
    return column


def _name_lumbar(anatomy: LabelArray, middle: int, first: int, last: int) -> None:
    """Name lumbar vertebrae: separate pieces that do not overlap the sacrum of the next slice."""
    pieces, _ = ndimage.label(anatomy[middle] == AnatomyLabel.SACRUM)
    largest = 1 + int(np.argmax(np.bincount(pieces[pieces > 0])[1:])) if pieces.any() else 0
    top = np.flatnonzero((pieces == largest).any(axis=1))[0] if largest else 0
    for piece in range(1, pieces.max() + 1):
        inside = pieces == piece
        if piece != largest and np.flatnonzero(inside.any(axis=1)).mean() < top + 20:
            anatomy[middle][inside] = AnatomyLabel.LUMBAR_VERTEBRA
    for order, back in ((range(middle - 1, first - 1, -1), 1), (range(middle + 1, last + 1), -1)):
        for k in order:
            sacrum = anatomy[k] == AnatomyLabel.SACRUM
            pieces, count = ndimage.label(sacrum)
            for piece in range(1, count + 1):
                inside = pieces == piece
                before = anatomy[k + back][inside]
                lumbar = (before == AnatomyLabel.LUMBAR_VERTEBRA).sum()
                if lumbar > (before == AnatomyLabel.SACRUM).sum() or (not before.any() and _above(inside, sacrum)):
                    anatomy[k][inside] = AnatomyLabel.LUMBAR_VERTEBRA


def _above(piece: NDArray[np.bool_], rest: NDArray[np.bool_]) -> bool:
    """Return whether `piece` is higher than most of `rest`."""
    return bool(np.nonzero(piece)[0].mean() < np.percentile(np.nonzero(rest)[0], 20))


def _carry(bone: NDArray[np.bool_], neighbour: LabelArray) -> LabelArray:
    """Label one slice from its labelled neighbor: each pixel the nearest label, nearly uniform pieces one label."""
    if not neighbour.any():
        return np.zeros(bone.shape, dtype=np.uint8)
    nearest = ndimage.distance_transform_edt(neighbour == 0, return_distances=False, return_indices=True)
    label = np.where(bone, neighbour[tuple(nearest)], np.uint8(0)).astype(np.uint8)
    pieces, count = ndimage.label(bone)
    for piece in range(1, count + 1):
        inside = pieces == piece
        counts = np.bincount(label[inside], minlength=5)
        if counts.max() >= _SAME_BONE_SHARE * counts.sum():
            label[inside] = int(np.argmax(counts))
    return label


def readings_in_bone(person: Person) -> Float32Array:
    """Return (4, slices, rows, columns) float32: 1 where a reading calls sacrum or ilium edema, else 0.

    Raises
    ------
    InputError : no reader read this person
    """
    bone = sacroiliac_bones(person.anatomy)
    if person.name == PERSON_WITHOUT_EDEMA:
        return np.zeros((len(READINGS), *bone.shape), dtype=np.float32)
    if person.readings is None:
        raise InputError(f"expected readings of {person.name}, found none; it cannot teach or measure edema")
    return (person.readings & bone).astype(np.float32)
