"""Samples of a site's own studies: joint patches with quadrant points as weak labels, and outlines where there are any.

Contents: `SiteStudy`, `SiteSamples`, `site_samples`. Bones and joints are those that the model found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Quadrant, Side
from sparcc_pipeline.imaging.model.normalize import (
    JointCrop,
    edema_input,
    joint_distance_mm,
    marrow_log_ratio,
    normal_marrow_signal,
)
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.training.data.edema_samples import quadrant_codes
from sparcc_pipeline.volume import BoolArray, Float32Array, LabelArray

SITE_CANVAS_PIXELS: Final = 184
"""Side of the stored patch about each joint; training cuts smaller, rotated and shifted patches out of it."""


@dataclass(frozen=True, eq=False)
class SiteStudy:
    """One scored study with its readings.

    Parameters
    ----------
    person : participant; all studies of one person have one name
    signal, anatomy : (slices, rows, columns)
    share : (slice_index, side) -> share of the readings that give the edema point of each `Quadrant`, NaN if unread
    outline : (slices, rows, columns) bool, edema as outlined; None without one. It counts on the slices of `share`, or
        without readings on the slices between its first and its last
    """

    person: str
    signal: Float32Array
    anatomy: LabelArray
    joints: Joints
    share: Mapping[tuple[int, Side], Float32Array]
    outline: BoolArray | None = None


@dataclass(frozen=True, eq=False)
class SiteSamples:
    """One entry for each joint-slice that was read or outlined.

    Parameters
    ----------
    images : (n, channels, size, size) float16, input of the edema network
    bone : (n, size, size) float16, sacrum and the ilium of this side
    distance_mm : (n, size, size) float16, from the joint line
    quadrant : (n, size, size) uint8, 0 outside, 1 + the place in `Quadrant` inside each evaluable quadrant
    share : (n, 4) float32, NaN for a quadrant that was not read
    outline : (n, size, size) float16, 0 or 1; NaN where the slice was not outlined
    person : (n,) index into `people`
    """

    images: NDArray[np.float16]
    bone: NDArray[np.float16]
    distance_mm: NDArray[np.float16]
    quadrant: NDArray[np.uint8]
    share: Float32Array
    outline: NDArray[np.float16]
    person: NDArray[np.int64]
    people: tuple[str, ...]


def site_samples(studies: Sequence[SiteStudy], inputs: Sequence[str] = ()) -> SiteSamples:
    """Return the patches of all studies; `inputs` are those of the edema network besides the STIR.

    Raises
    ------
    ReferenceSignalError : a study shows too little marrow away from the joints
    """
    people = tuple(dict.fromkeys(study.person for study in studies))
    rows = [(people.index(study.person), *patch) for study in studies for patch in _patches(study, inputs)]
    person, images, bone, distance, quadrant, share, outline = zip(*rows, strict=True)
    return SiteSamples(
        images=np.stack(images).astype(np.float16),
        bone=np.stack(bone).astype(np.float16),
        distance_mm=np.stack(distance).astype(np.float16),
        quadrant=np.stack(quadrant).astype(np.uint8),
        share=np.stack(share).astype(np.float32),
        outline=np.stack(outline).astype(np.float16),
        person=np.array(person),
        people=people,
    )


def _patches(study: SiteStudy, inputs: Sequence[str]) -> Iterator[tuple[NDArray[np.generic], ...]]:
    in_plane = study.joints.geometry.in_plane_mm
    marrow = normal_marrow_signal(study.signal, study.anatomy, joint_distance_mm(study.joints))
    ratio = marrow_log_ratio(study.signal, marrow)
    outlined = _outlined_slices(study)
    unread = np.full(len(Quadrant), np.nan, dtype=np.float32)
    for joint in study.joints:
        k = joint.slice_index
        share = study.share.get((k, joint.side))
        if share is None and k not in outlined:
            continue
        crop = JointCrop(joint, in_plane, SITE_CANVAS_PIXELS)
        bone = np.isin(study.anatomy[k], [AnatomyLabel.SACRUM, ILIUM_LABEL[joint.side]])
        outline = np.full((SITE_CANVAS_PIXELS, SITE_CANVAS_PIXELS), np.nan, dtype=np.float32)
        if study.outline is not None and k in outlined:
            outline = (crop.take(study.outline[k] & bone) > 0.5).astype(np.float32)
        yield (
            edema_input(ratio, study.anatomy, joint, crop, inputs),
            crop.take(bone),
            crop.take(joint.surface_distance_mm),
            crop.take(quadrant_codes(joint), order=0),
            unread if share is None else share,
            outline,
        )


def _outlined_slices(study: SiteStudy) -> set[int]:
    if study.outline is None:
        return set()
    if study.share:
        return {k for k, _ in study.share}
    marked = np.flatnonzero(study.outline.any(axis=(1, 2)))
    return set(range(int(marked[0]), int(marked[-1]) + 1)) if marked.size else set()
