"""Samples for both networks, made once from people and kept as arrays of one file each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Side
from sparcc_pipeline.imaging.model.normalize import (
    BONE_PIXEL_MM,
    JointCrop,
    compress_signal,
    joint_distance_mm,
    marrow_log_ratio,
    neighbours,
    normal_marrow_signal,
    resample_in_plane,
)
from sparcc_pipeline.sparcc.joint import Joints, JointSlice, find_joint_slice, find_joints
from sparcc_pipeline.training.data.labels import Pelvis, Person, soft_edema

if TYPE_CHECKING:
    from sparcc_pipeline.training.data.phantom import Phantom
from sparcc_pipeline.volume import Float32Array, LabelArray

CANVAS_PIXELS: Final = 224
"""Side of the stored patch about each joint: training cuts smaller, turned and shifted patches out of it."""


@dataclass(frozen=True, eq=False)
class EdemaSamples:
    """One entry a joint-slice.

    Parameters
    ----------
    images : (n, 3, size, size) float16, log ratio to normal marrow of three neighbouring slices
    t1 : (n, size, size) float16, the same of T1; 0 where there is none
    bone : (n, size, size) float16 sacrum and the ilium of this side
    target : (n, 3, size, size) float16 share of readings, on three neighbouring slices
    distance_mm, edge_mm : (n, size, size) float16 from the joint line, from the outline of the bones
    person : (n,) index into `people`
    """

    images: NDArray[np.float16]
    t1: NDArray[np.float16]
    bone: NDArray[np.float16]
    target: NDArray[np.float16]
    distance_mm: NDArray[np.float16]
    edge_mm: NDArray[np.float16]
    person: NDArray[np.int64]
    people: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class BoneSamples:
    """Stacks on BONE_PIXEL_MM pixels.

    `signal[i]` (slices, rows, columns) float16 compressed, `label[i]` uint8, `joint_mm[i]` float16 distance from where
    sacrum and ilium meet, `behind_cm[i]` (slices,) float32 place behind the transitional slice or NaN where unknown,
    `spacing_mm[i]` distance of slices, `kind[i]` "stir", "t1", "outlined", "pelvic" or "phantom", `person[i]` a name.
    """

    signal: tuple[NDArray[np.float16], ...]
    label: tuple[LabelArray, ...]
    joint_mm: tuple[NDArray[np.float16], ...]
    behind_cm: tuple[Float32Array, ...]
    spacing_mm: tuple[float, ...]
    kind: tuple[str, ...]
    person: tuple[str, ...]


PHANTOM: Final = "phantom"
"""All phantoms together teach edema as one person would."""

FAR_FROM_JOINT_MM: Final = 60.0
"""Distance written where a slice shows no joint."""


@lru_cache(maxsize=16)
def joints_of(person: Person) -> Joints:
    """The joints of the labelled slices, from the labels themselves."""
    first, last = person.cartilaginous
    found: dict[tuple[int, Side], JointSlice] = {}
    for k in range(first, last + 1):
        for side in Side:
            joint = find_joint_slice(person.anatomy[k], person.stir.geometry, k, side)
            if joint is not None and (k, side) in person.joint_lines:
                found[k, side] = joint
    return Joints(person.stir.geometry, found)


@dataclass(frozen=True, eq=False)
class _Labelled:
    """What edema is learned from: a stack, its joints, its bones and its edema."""

    name: str
    signal: Float32Array
    t1: Float32Array | None
    joints: Joints
    anatomy: LabelArray
    edema: Float32Array


def edema_samples(people: Sequence[Person], phantoms: Sequence[Phantom]) -> EdemaSamples:
    """Patches about every labelled joint-slice of `people`, and about those of `phantoms`, all named PHANTOM."""
    sources = [
        _Labelled(
            person.name,
            person.stir.signal,
            person.t1,
            joints_of(person),
            person.known_anatomy,
            soft_edema(person),
        )
        for person in people
    ]
    for phantom in phantoms:
        tissue = phantom.tissue
        sources.append(
            _Labelled(
                PHANTOM,
                phantom.volume.signal,
                None,
                find_joints(tissue.anatomy, tissue.geometry),
                tissue.anatomy,
                tissue.edema_probability,
            )
        )
    names = tuple(dict.fromkeys(source.name for source in sources))
    patches = [(patch, names.index(source.name)) for source in sources for patch in _edema_patches(source)]
    parts = [np.asarray(part, dtype=np.float16) for part in zip(*(patch for patch, _ in patches), strict=True)]
    images, t1, bone, target, distance, edge = parts
    return EdemaSamples(images, t1, bone, target, distance, edge, np.array([owner for _, owner in patches]), names)


def _edema_patches(source: _Labelled) -> Iterator[tuple[Float32Array, ...]]:
    """Image, T1, bone, edema, distance from the joint and from the bones' outline of each joint-slice."""
    in_plane = source.joints.geometry.in_plane_mm
    from_joint = joint_distance_mm(source.joints)
    ratio = marrow_log_ratio(source.signal, normal_marrow_signal(source.signal, source.anatomy, from_joint))
    t1 = np.zeros_like(ratio)
    if source.t1 is not None:
        t1 = marrow_log_ratio(source.t1, normal_marrow_signal(source.t1, source.anatomy, from_joint))
    for joint in source.joints:
        k = joint.slice_index
        crop = JointCrop(joint, in_plane, CANVAS_PIXELS)
        bone = np.isin(source.anatomy[k], [AnatomyLabel.SACRUM, ILIUM_LABEL[joint.side]])
        outline = ndimage.distance_transform_edt(bone, sampling=in_plane)
        edema = np.stack([crop.take(image) for image in neighbours(source.edema, k)])
        yield (
            np.stack([crop.take(image) for image in neighbours(ratio, k)]),
            crop.take(t1[k]),
            crop.take(bone),
            edema,
            crop.take(joint.surface_distance_mm),
            crop.take(outline),
        )


def bone_stack(
    signal: Float32Array, label: LabelArray, in_plane_mm: tuple[float, float]
) -> tuple[NDArray[np.float16], LabelArray]:
    """One stack and its labels on the pixels of the bone network."""
    resampled = resample_in_plane(compress_signal(signal), in_plane_mm, BONE_PIXEL_MM).astype(np.float16)
    ratio = (BONE_PIXEL_MM / in_plane_mm[0], BONE_PIXEL_MM / in_plane_mm[1])
    labels = np.empty(resampled.shape, dtype=np.uint8)
    for k, image in enumerate(label):
        ndimage.affine_transform(image, ratio, output_shape=resampled.shape[1:], output=labels[k], order=0)
    return resampled, labels


def _from_joint_mm(label: LabelArray) -> NDArray[np.float16]:
    """(slices, rows, columns) distance from where sacrum and an ilium touch, on the pixels of the bone network."""
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


def bone_samples(people: Sequence[Person], outlined: Sequence[Pelvis], pelves: Sequence[Pelvis],
                 phantoms: Sequence[Phantom]) -> BoneSamples:  # fmt: skip
    """STIR and T1 of `people`, T1 of `outlined` and `pelves`, and phantoms, on the pixels of the bone network."""
    stacks: list[_Stack] = []
    for person in people:
        geometry = person.stir.geometry
        behind = _behind_cm(len(person.anatomy), person.six_slices[1], geometry.spacing_mm[0])
        for kind, signal in (("stir", person.stir.signal), ("t1", person.t1)):
            stacks.append(_Stack(kind, person.name, signal, person.anatomy, behind, geometry.spacing_mm))
    for kind, scans in (("outlined", outlined), ("pelvic", pelves)):
        for scan in scans:
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
    """(slices,) place of each slice behind the transitional one, cm; negative in front of it."""
    behind: Float32Array = ((np.arange(slices) - transitional_slice) * spacing_mm / 10).astype(np.float32)
    return behind
