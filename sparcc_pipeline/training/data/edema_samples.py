"""Samples for the edema network: one patch about each labelled joint on each slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Quadrant, Side
from sparcc_pipeline.imaging.model.normalize import (
    JointCrop,
    joint_distance_mm,
    marrow_log_ratio,
    neighbours,
    normal_marrow_signal,
)
from sparcc_pipeline.sparcc.joint import Joints, JointSlice, find_joints
from sparcc_pipeline.training.data.dataset import joints_of
from sparcc_pipeline.training.data.labels import READINGS, Person, readings_in_bone
from sparcc_pipeline.volume import Float32Array, LabelArray

if TYPE_CHECKING:
    from sparcc_pipeline.training.data.phantom import Phantom

CANVAS_PIXELS: Final = 224
"""Side of the stored patch about each joint. Training cuts smaller, rotated and shifted patches out of it."""

PHANTOM: Final = "phantom"
"""The name of all phantoms: together they count as one person."""

NO_OTHER_SIDE: Final = -1
"""Index of the other side's sample where the slice shows one joint only."""

OTHER_SIDE: Final = {Side.RIGHT: Side.LEFT, Side.LEFT: Side.RIGHT}


@dataclass(frozen=True, eq=False)
class EdemaSamples:
    """One entry for each joint-slice.

    Parameters
    ----------
    images : (n, 3, size, size) float16, log ratio to normal marrow of three neighboring slices
    readings : (n, 4, size, size) float16, edema of each reading on the middle slice, 0 to 1
    bone : (n, size, size) float16, sacrum and the ilium of this side
    quadrant : (n, size, size) uint8, 0 outside, 1 + the place in `Quadrant` inside each evaluable quadrant
    distance_mm, edge_mm : (n, size, size) float16, from the joint line, from the outline of the bones
    other : (n,) index of the sample of the other side on the same slice, or NO_OTHER_SIDE
    person : (n,) index into `people`
    """

    images: NDArray[np.float16]
    readings: NDArray[np.float16]
    bone: NDArray[np.float16]
    quadrant: NDArray[np.uint8]
    distance_mm: NDArray[np.float16]
    edge_mm: NDArray[np.float16]
    other: NDArray[np.int64]
    person: NDArray[np.int64]
    people: tuple[str, ...]

    @property
    def target(self) -> Float32Array:
        """(n, size, size) float32 share of the readings that call each pixel edema."""
        share: Float32Array = self.readings.mean(axis=1, dtype=np.float32)
        return share


@dataclass(frozen=True, eq=False)
class _Labelled:
    """A stack with its joints, its bones and its readings: (4, slices, rows, columns)."""

    name: str
    signal: Float32Array
    joints: Joints
    anatomy: LabelArray
    readings: Float32Array


def edema_samples(people: Sequence[Person], phantoms: Sequence[Phantom]) -> EdemaSamples:
    """Return patches about every labelled joint-slice of `people`, and about those of `phantoms`, all named PHANTOM."""
    sources = [_of_person(person) for person in people] + [_of_phantom(phantom) for phantom in phantoms]
    names = tuple(dict.fromkeys(source.name for source in sources))
    patches: list[tuple[NDArray[np.float16], ...]] = []
    other: list[int] = []
    owner: list[int] = []
    for source in sources:
        first = len(patches)
        places = {(joint.slice_index, joint.side): first + n for n, joint in enumerate(source.joints)}
        other += [places.get((k, OTHER_SIDE[side]), NO_OTHER_SIDE) for k, side in places]
        owner += [names.index(source.name)] * len(places)
        patches += _patches(source)
    images, readings, bone, quadrant, distance, edge = (np.stack(part) for part in zip(*patches, strict=True))
    return EdemaSamples(
        images=images,
        readings=readings,
        bone=bone,
        quadrant=quadrant.astype(np.uint8),
        distance_mm=distance,
        edge_mm=edge,
        other=np.array(other),
        person=np.array(owner),
        people=names,
    )


def _of_person(person: Person) -> _Labelled:
    joints, readings = joints_of(person), readings_in_bone(person)
    return _Labelled(person.name, person.stir.signal, joints, person.known_anatomy, readings)


def _of_phantom(phantom: Phantom) -> _Labelled:
    tissue = phantom.tissue
    readings = np.repeat(tissue.edema_probability[None], len(READINGS), axis=0)
    joints = find_joints(tissue.anatomy, tissue.geometry)
    return _Labelled(PHANTOM, phantom.volume.signal, joints, tissue.anatomy, readings)


def _patches(source: _Labelled) -> Iterator[tuple[NDArray[np.float16], ...]]:
    """Yield images, readings, bone, quadrant, distance from the joint and from the bones' outline of each joint."""
    in_plane = source.joints.geometry.in_plane_mm
    from_joint = joint_distance_mm(source.joints)
    ratio = marrow_log_ratio(source.signal, normal_marrow_signal(source.signal, source.anatomy, from_joint))
    for joint in source.joints:
        k = joint.slice_index
        crop = JointCrop(joint, in_plane, CANVAS_PIXELS)
        bone = np.isin(source.anatomy[k], [AnatomyLabel.SACRUM, ILIUM_LABEL[joint.side]])
        outline = ndimage.distance_transform_edt(bone, sampling=in_plane)
        parts = (
            np.stack([crop.take(image) for image in neighbours(ratio, k)]),
            np.stack([crop.take(reading[k]) for reading in source.readings]),
            crop.take(bone),
            crop.take(quadrant_codes(joint), order=0),
            crop.take(joint.surface_distance_mm),
            crop.take(outline),
        )
        yield tuple(part.astype(np.float16) for part in parts)


def quadrant_codes(joint: JointSlice) -> NDArray[np.uint8]:
    """Return (rows, columns) uint8: 0 outside, 1 + the place in `Quadrant` inside each evaluable quadrant."""
    codes = np.zeros(joint.surface_distance_mm.shape, dtype=np.uint8)
    for place, quadrant in enumerate(Quadrant):
        if quadrant in joint.evaluable:
            codes[joint.quadrants[quadrant]] = place + 1
    return codes
