"""Alignment of a follow-up with its baseline: register the bones, refuse mirrored and failed alignments."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from sparcc_pipeline.errors import RegistrationError
from sparcc_pipeline.imaging.alignment.registration import Registration, bone_region, register
from sparcc_pipeline.sparcc.follow_up.alignment import (
    AlignmentQuality,
    alignment_quality,
    require_plausible,
    starting_positions,
)
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.volume import BoolArray, LabelArray, Volume, sacroiliac_bones


@dataclass(frozen=True, eq=False)
class Anatomy:
    """One scan (STIR, or T1 to measure the registration) with its bones and joints.

    Parameters
    ----------
    labels : (slices, rows, columns) codes of `AnatomyLabel`
    """

    volume: Volume
    labels: LabelArray
    joints: Joints

    @property
    def bones(self) -> BoolArray:
        """(slices, rows, columns) bool: sacrum and ilia."""
        return sacroiliac_bones(self.labels)


@dataclass(frozen=True)
class Alignment:
    """A plausible registration, and its quality."""

    registration: Registration
    quality: AlignmentQuality


def align(baseline: Anatomy, follow_up: Anatomy) -> Alignment:
    """Find the position of the baseline in the follow-up.

    Raises
    ------
    RegistrationError : the two cannot be aligned, or only with left and right exchanged
    """
    region = bone_region(baseline.bones, baseline.volume.geometry.spacing_mm)
    mirrored = replace(follow_up.volume, signal=np.ascontiguousarray(follow_up.volume.signal[:, :, ::-1]))

    def registered(moving: Volume, flipped: bool) -> Registration:
        starts = starting_positions(baseline.joints, follow_up.joints, mirrored=flipped)
        return register(baseline.volume, moving, region, starts)

    # Both at once: each registration uses one core.
    with ThreadPoolExecutor(max_workers=2) as pool:
        first, second = pool.submit(registered, follow_up.volume, False), pool.submit(registered, mirrored, True)
        found, other = first.result(), second.result()
    _require_sides(found, other)
    quality = alignment_quality(baseline.labels, baseline.joints, follow_up.labels, follow_up.joints, found.transform)
    require_plausible(quality, found.transform, found.information_gain)
    return Alignment(found, quality)


def _require_sides(found: Registration, mirrored: Registration) -> None:
    """Refuse a follow-up that fits better mirrored: its left and right were exchanged before it arrived.

    The pelvis is so symmetric that bones and joints fit either way; the images do not. Mutual information of five
    people before and after treatment: 0.62-0.88, mirrored 0.20-0.35.
    """
    if mirrored.mutual_information > found.mutual_information:
        raise RegistrationError(
            "expected the patient's sides as at baseline, found that the follow-up fits better mirrored (mutual "
            f"information {mirrored.mutual_information:.2f} against {found.mutual_information:.2f}); check which of "
            "the two was exported with left and right exchanged"
        )
