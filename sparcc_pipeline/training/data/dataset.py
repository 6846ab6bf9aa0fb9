"""Samples for the bone network: whole stacks on its pixels. The joints of the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Side
from sparcc_pipeline.imaging.model.normalize import BONE_PIXEL_MM, compress_signal, resample_in_plane
from sparcc_pipeline.sparcc.joint import Joints, JointSlice, find_joint_slice
from sparcc_pipeline.training.data.labels import Person
from sparcc_pipeline.training.data.pelves import Pelvis
from sparcc_pipeline.volume import Float32Array, LabelArray

if TYPE_CHECKING:
    from sparcc_pipeline.training.data.phantom import Phantom


@dataclass(frozen=True, eq=False)
class BoneSamples:
    """Stacks on BONE_PIXEL_MM pixels, one entry for each stack.

    Parameters
    ----------
    signal : (slices, rows, columns) float16, compressed
    label : (slices, rows, columns) uint8, `AnatomyLabel` codes, IGNORE or SOME_BONE
    joint_mm : (slices, rows, columns) float16, distance from where sacrum and ilium meet
    behind_cm : (slices,) float32, distance behind the transitional slice, NaN where unknown
    spacing_mm : distance of slices
    kind : "stir", "t1", "outlined", "weak", "pelvic", "simulated" or "phantom"
    person : a name; all stacks of one person have one name
    """

    signal: tuple[NDArray[np.float16], ...]
    label: tuple[LabelArray, ...]
    joint_mm: tuple[NDArray[np.float16], ...]
    behind_cm: tuple[Float32Array, ...]
    spacing_mm: tuple[float, ...]
    kind: tuple[str, ...]
    person: tuple[str, ...]


FAR_FROM_JOINT_MM: Final = 60.0
"""Distance where a slice shows no joint."""


@lru_cache(maxsize=16)
def joints_of(person: Person) -> Joints:
    """Return the joints of the labelled slices, found in the labels themselves."""
    first, last = person.cartilaginous
    found: dict[tuple[int, Side], JointSlice] = {}
    for k in range(first, last + 1):
        for side in Side:
            joint = find_joint_slice(person.anatomy[k], person.stir.geometry, k, side)
            if joint is not None and (k, side) in person.joint_lines:
                found[k, side] = joint
    return Joints(person.stir.geometry, found)


def bone_stack(
    signal: Float32Array, label: LabelArray, in_plane_mm: tuple[float, float]
) -> tuple[NDArray[np.float16], LabelArray]:
    """Return one stack and its labels on the pixels of the bone network."""
    resampled = resample_in_plane(compress_signal(signal), in_plane_mm, BONE_PIXEL_MM).astype(np.float16)
    ratio = (BONE_PIXEL_MM / in_plane_mm[0], BONE_PIXEL_MM / in_plane_mm[1])
    labels = np.empty(resampled.shape, dtype=np.uint8)
    for k, image in enumerate(label):
        ndimage.affine_transform(image, ratio, output_shape=resampled.shape[1:], output=labels[k], order=0)
    return resampled, labels


def _from_joint_mm(label: LabelArray) -> NDArray[np.float16]:
    """Return (slices, rows, columns) distance from where sacrum and an ilium touch, on the bone network's pixels."""
    distance = np.full(label.shape, FAR_FROM_JOINT_MM, dtype=np.float16)
    cross = ndimage.generate_binary_structure(2, 1)
    for k, image in enumerate(label):
        sacrum = ndimage.binary_dilation(image == AnatomyLabel.SACRUM, cross, iterations=2)
        touching = sacrum & np.isin(image, list(ILIUM_LABEL.values()))
        if touching.any():
            far = ndimage.distance_transform_edt(~touching, sampling=BONE_PIXEL_MM)
            distance[k] = np.minimum(far, FAR_FROM_JOINT_MM)
    return distance


@dataclass(frozen=True, eq=False)
class _Stack:
    kind: str
    person: str
    signal: Float32Array
    label: LabelArray
    behind_cm: Float32Array
    spacing_mm: tuple[float, float, float]


def bone_samples(
    people: Sequence[Person], scans: Mapping[str, Sequence[Pelvis]], phantoms: Sequence[Phantom]
) -> BoneSamples:
    """Return STIR and T1 of `people`, `scans` by kind, and phantoms, on the pixels of the bone network."""
    stacks: list[_Stack] = []
    for person in people:
        geometry = person.stir.geometry
        behind = _behind_cm(len(person.anatomy), person.six_slices[1], geometry.spacing_mm[0])
        for kind, signal in (("stir", person.stir.signal), ("t1", person.t1)):
            stacks.append(_Stack(kind, person.name, signal, person.anatomy, behind, geometry.spacing_mm))
    for kind, of_kind in scans.items():
        for scan in of_kind:
            unknown = np.full(len(scan.anatomy), np.nan, dtype=np.float32)
            stacks.append(_Stack(kind, scan.name, scan.signal, scan.anatomy, unknown, scan.spacing_mm))
    for index, phantom in enumerate(phantoms):
        geometry, spec = phantom.volume.geometry, phantom.spec
        behind = _behind_cm(geometry.shape[0], spec.transitional_slice, geometry.spacing_mm[0])
        stacks.append(
            _Stack(
                "phantom",
                f"phantom{index}",
                phantom.volume.signal,
                phantom.tissue.anatomy,
                behind,
                geometry.spacing_mm,
            )
        )
    made = [bone_stack(stack.signal, stack.label, stack.spacing_mm[1:]) for stack in stacks]
    return BoneSamples(
        signal=tuple(signal for signal, _ in made),
        label=tuple(label for _, label in made),
        joint_mm=tuple(_from_joint_mm(label) for _, label in made),
        behind_cm=tuple(stack.behind_cm for stack in stacks),
        spacing_mm=tuple(stack.spacing_mm[0] for stack in stacks),
        kind=tuple(stack.kind for stack in stacks),
        person=tuple(stack.person for stack in stacks),
    )


def _behind_cm(slices: int, transitional_slice: int, spacing_mm: float) -> Float32Array:
    """Return (slices,) distance of each slice behind the transitional one, cm; negative in front of it."""
    behind: Float32Array = ((np.arange(slices) - transitional_slice) * spacing_mm / 10).astype(np.float32)
    return behind
