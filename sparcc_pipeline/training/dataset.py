"""Samples for both networks, made once from people and kept as arrays of one file each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Side
from sparcc_pipeline.imaging.normalize import (
    BONE_PIXEL_MM,
    JointCrop,
    compress_signal,
    edema_input,
    joint_distance_mm,
    marrow_log_ratio,
    normal_marrow_signal,
    resample_in_plane,
)
from sparcc_pipeline.sparcc.joint import Joints, JointSlice, find_joint_slice
from sparcc_pipeline.training.labels import IGNORE, Pelvis, Person, soft_edema
from sparcc_pipeline.training.phantom import Phantom
from sparcc_pipeline.volume import Float32Array, LabelArray

CANVAS_PIXELS = 224
"""Side of the stored patch about each joint: training cuts smaller, turned and shifted patches out of it."""


@dataclass(frozen=True, eq=False)
class EdemaSamples:
    """One entry a joint-slice.

    Parameters
    ----------
    images : (n, 3, size, size) float16, see `normalize.edema_input`
    bone : (n, size, size) float16 sacrum and the ilium of this side
    target : (n, size, size) float16 share of readings
    distance_mm, edge_mm : (n, size, size) float16 from the joint line, from the outline of the bones
    person : (n,) index into `people`
    """

    images: NDArray[np.float16]
    bone: NDArray[np.float16]
    target: NDArray[np.float16]
    distance_mm: NDArray[np.float16]
    edge_mm: NDArray[np.float16]
    person: NDArray[np.int64]
    people: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class BoneSamples:
    """Stacks on BONE_PIXEL_MM pixels.

    `signal[i]` (slices, rows, columns) float16 compressed, `label[i]` uint8, `ligamentous[i]` (slices,) float32 soft
    target or -1 where unknown, `kind[i]` "stir", "t1", "pelvic" or "phantom", `person[i]` a name.
    """

    signal: tuple[NDArray[np.float16], ...]
    label: tuple[LabelArray, ...]
    ligamentous: tuple[Float32Array, ...]
    kind: tuple[str, ...]
    person: tuple[str, ...]


LIGAMENTOUS_SPREAD_MM = 4.0
"""How softly the target steps from "not yet" to "shows": readings of the window are good to one slice."""


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


def edema_samples(people: Sequence[Person]) -> EdemaSamples:
    """Patches about every labelled joint-slice of `people`."""
    images, bones, target, distance, edge, owner = [], [], [], [], [], []
    for index, person in enumerate(people):
        joints, edema = joints_of(person), soft_edema(person)
        nearest = joint_distance_mm(joints)
        anatomy = np.where(person.anatomy == IGNORE, np.uint8(0), person.anatomy)
        ratio = marrow_log_ratio(
            person.stir.signal, normal_marrow_signal(person.stir.signal, anatomy, nearest)
        )
        for joint in joints:
            k = joint.slice_index
            crop = JointCrop(joint, person.stir.geometry.in_plane_mm, CANVAS_PIXELS)
            bone = np.isin(anatomy[k], [AnatomyLabel.SACRUM, ILIUM_LABEL[joint.side]])
            outline = ndimage.distance_transform_edt(bone, sampling=person.stir.geometry.in_plane_mm)
            images.append(edema_input(ratio, joint, crop))
            bones.append(crop.take(bone))
            target.append(crop.take(edema[k]))
            distance.append(crop.take(joint.surface_distance_mm))
            edge.append(crop.take(outline))
            owner.append(index)
    return EdemaSamples(
        *(np.asarray(part, dtype=np.float16) for part in (images, bones, target, distance, edge)),
        person=np.array(owner),
        people=tuple(person.name for person in people),
    )


def bone_stack(signal: Float32Array, label: LabelArray, in_plane_mm: tuple[float, float]) -> tuple[
    NDArray[np.float16], LabelArray
]:
    """One stack and its labels on the pixels of the bone network."""
    resampled = resample_in_plane(compress_signal(signal), in_plane_mm, BONE_PIXEL_MM).astype(np.float16)
    ratio = (BONE_PIXEL_MM / in_plane_mm[0], BONE_PIXEL_MM / in_plane_mm[1])
    labels = np.empty(resampled.shape, dtype=np.uint8)
    for k, image in enumerate(label):
        ndimage.affine_transform(image, ratio, output_shape=resampled.shape[1:], output=labels[k], order=0)
    return resampled, labels


def bone_samples(people: Sequence[Person], pelves: Sequence[Pelvis], phantoms: Sequence[Phantom]) -> BoneSamples:
    """STIR and T1 of `people`, T1 of `pelves`, and phantoms, on the pixels of the bone network."""
    stacks: list[tuple[str, str, Float32Array, LabelArray, Float32Array, tuple[float, float]]] = []
    for person in people:
        in_plane, step = person.stir.geometry.in_plane_mm, ligamentous_target(person)
        stacks.append(("stir", person.name, person.stir.signal, person.anatomy, step, in_plane))
        stacks.append(("t1", person.name, person.t1, person.anatomy, step, in_plane))
    for pelvis in pelves:
        unknown = np.full(len(pelvis.anatomy), -1, dtype=np.float32)
        stacks.append(("pelvic", pelvis.name, pelvis.signal, pelvis.anatomy, unknown, pelvis.in_plane_mm))
    for index, phantom in enumerate(phantoms):
        tissue = phantom.tissue
        stacks.append(("phantom", f"phantom{index}", phantom.volume.signal, tissue.anatomy, tissue.ligamentous,
                       tissue.geometry.in_plane_mm))  # fmt: skip
    made = [bone_stack(signal, anatomy, in_plane) for _, _, signal, anatomy, _, in_plane in stacks]
    return BoneSamples(
        signal=tuple(signal for signal, _ in made),
        label=tuple(label for _, label in made),
        ligamentous=tuple(stack[4].astype(np.float32) for stack in stacks),
        kind=tuple(stack[0] for stack in stacks),
        person=tuple(stack[1] for stack in stacks),
    )


def ligamentous_target(person: Person) -> Float32Array:
    """(slices,) soft step at the transitional slice, the most posterior of the six."""
    step_mm = person.stir.geometry.spacing_mm[0]
    behind_mm = (np.arange(len(person.anatomy)) - person.six_slices[1] + 0.5) * step_mm
    return (1 / (1 + np.exp(-behind_mm / LIGAMENTOUS_SPREAD_MM))).astype(np.float32)
