"""Sacrum, ilia and lumbar vertebra of one volume, from the network on whole slices.

Where the study has a T1-weighted series, the network runs on both: T1 shows the joint more clearly, and the cut between
sacrum and ilium follows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import softmax

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.each_slice import ForEachSlice, one_by_one
from sparcc_pipeline.imaging.alignment.second_contrast import Resampled, resample_onto
from sparcc_pipeline.imaging.bone_pieces import WINDOW_SLICES, field_about, fields_within, without_noise
from sparcc_pipeline.imaging.joint_path import follow_joints
from sparcc_pipeline.imaging.model.engines import Network
from sparcc_pipeline.imaging.model.networks import BONE_CLASSES
from sparcc_pipeline.imaging.model.normalize import (
    BONE_PIXEL_MM,
    compress_signal,
    labels_back,
    neighbours,
    resample_in_plane,
)
from sparcc_pipeline.imaging.plausibility import bone_evidence
from sparcc_pipeline.imaging.slice_place import ligamentous_probability
from sparcc_pipeline.volume import STIR, T1, Float32Array, Geometry, LabelArray, Volume, sacroiliac_bones

T1_WEIGHT: Final = 0.8
"""Share of T1 in the bone logits of slices that both contrasts show. On people left out of the training 0.8 was as good
as 0.6 or better. Decision of this project."""

SAME_BONES: Final = 0.76
"""Overlap (Dice) of the bones found on STIR and on T1 from which both show the patient in one position. On people left
out it was 0.79 or more, and at most 0.74 with T1 moved by 5 mm. Decision of this project."""

_STRIDE: Final = 16
"""The network halves rows and columns four times: both must be multiples of this."""


@dataclass(frozen=True, eq=False)
class BoneMaps:
    """Bones of one volume.

    Parameters
    ----------
    anatomy : (slices, rows, columns) uint8 codes of `AnatomyLabel`
    ligamentous : (slices,) float32 probability that the slice shows the ligamentous part of the joints
    found_on : the contrasts that were used
    certainty : mean probability of the pixels labelled sacrum or ilium, 0 without such pixels
    """

    anatomy: LabelArray
    ligamentous: Float32Array
    found_on: tuple[str, ...]
    certainty: float


class BoneSegmenter:
    """The bone network of one model.

    Parameters
    ----------
    network : (n, 3, rows, columns) compressed signal -> (n, BONE_CLASSES + 1, rows, columns), see `networks.py`
    for_each : runs the work on each slice, perhaps on several threads
    """

    def __init__(self, network: Network, for_each: ForEachSlice = one_by_one) -> None:
        self._network, self._for_each = network, for_each

    def find(self, volume: Volume, t1: Volume | None = None) -> BoneMaps:
        """Find the bones of one volume.

        T1 is not used on slices that it does not cover, nor at all where its bones do not overlap those of STIR. Of a
        large field of view only the part around the sacrum is used: it excludes other bones, and the signal is scaled
        by the body beside the joints.
        """
        second = None if t1 is None else resample_onto(t1, volume.geometry)
        window = self._window(volume)
        if window is None:
            return self._find_in(volume.signal, volume.geometry, second)
        seen = (slice(None), *window)
        signal = volume.signal[seen]
        geometry = replace(volume.geometry, shape=(signal.shape[0], signal.shape[1], signal.shape[2]))
        cut = None if second is None else Resampled(second.signal[seen], second.covered)
        found = self._find_in(signal, geometry, cut)
        anatomy = np.zeros(volume.geometry.shape, dtype=np.uint8)
        anatomy[seen] = found.anatomy
        return replace(found, anatomy=anatomy)

    def _window(self, volume: Volume) -> tuple[slice, slice] | None:
        """Rows and columns around the sacrum of a large field of view; None for a usual field of view.

        Overlapping parts of the middle slices are tried. The sacrum is taken from the part that shows all three bones
        with the highest certainty.
        """
        middle = volume.geometry.shape[0] // 2
        block = volume.signal[max(middle - WINDOW_SLICES // 2, 0) : middle + WINDOW_SLICES // 2 + 1]
        sacrum, best = np.zeros(block.shape, dtype=bool), (False, 0.0)
        for seen in fields_within(volume.geometry):
            part = block[:, *seen]
            geometry = replace(volume.geometry, shape=(part.shape[0], part.shape[1], part.shape[2]))
            found = self._find_in(part, geometry, None)
            evidence = bone_evidence(found.certainty, found.anatomy, geometry)
            quality = (None not in evidence.sideways_mm, found.certainty)
            if quality > best:
                best, sacrum = quality, np.zeros(block.shape, dtype=bool)
                sacrum[:, *seen] = found.anatomy == AnatomyLabel.SACRUM
        return field_about(sacrum, volume.geometry)

    def _find_in(self, signal: Float32Array, geometry: Geometry, second: Resampled | None) -> BoneMaps:
        """The bones of one stack (slices, rows, columns); only shape and spacing of `geometry` are used."""
        output = self._output(signal, geometry)
        if second is None:
            return self._maps(output, geometry, (STIR,))
        other = self._output(second.signal, geometry)
        covered = np.flatnonzero(second.covered)
        if _overlap(output, other, covered) < SAME_BONES:
            return self._maps(output, geometry, (STIR,))
        for k in covered:
            output[k] += T1_WEIGHT * (other[k] - output[k])
        found = self._maps(output, geometry, (STIR, T1))
        return replace(found, anatomy=follow_joints(found.anatomy, geometry, second, found.ligamentous))

    def _output(self, signal: Float32Array, geometry: Geometry) -> Float32Array:
        """(slices, BONE_CLASSES + 1, rows, columns) output of the network, on pixels of BONE_PIXEL_MM."""
        stack = resample_in_plane(compress_signal(signal), geometry.in_plane_mm, BONE_PIXEL_MM)
        rows, columns = stack.shape[1:]
        stack = np.pad(stack, ((0, 0), (0, -rows % _STRIDE), (0, -columns % _STRIDE)), mode="edge")
        output = np.empty((len(stack), BONE_CLASSES + 1, rows, columns), dtype=np.float32)

        def fill(k: int) -> None:
            # One slice a call: several are no faster, and use as much more memory.
            output[k] = self._network(neighbours(stack, k)[None])[0, :, :rows, :columns]

        self._for_each(fill, range(len(stack)))
        return output

    def _maps(self, output: Float32Array, geometry: Geometry, found_on: tuple[str, ...]) -> BoneMaps:
        """The bones on the pixels of `geometry`, from the output (slices, BONE_CLASSES + 1, rows, columns)."""
        shape = geometry.shape
        labels = np.stack([logits[:BONE_CLASSES].argmax(axis=0).astype(np.uint8) for logits in output])
        # Discarded fragments do not vote on the transitional slice.
        bones = sacroiliac_bones(without_noise(labels, (geometry.spacing_mm[0], BONE_PIXEL_MM, BONE_PIXEL_MM)))
        anatomy = np.empty(shape, dtype=np.uint8)
        bone_pixels = bones.sum(axis=(1, 2)).astype(float)
        behind_cm, probability = np.zeros(shape[0]), np.zeros(shape[0])

        def label_slice(k: int) -> None:
            logits = output[k]
            anatomy[k] = labels_back(logits[:BONE_CLASSES], geometry.in_plane_mm, BONE_PIXEL_MM, (shape[1], shape[2]))
            if bones[k].any():
                behind_cm[k] = logits[BONE_CLASSES][bones[k]].mean()
                probability[k] = softmax(logits[:BONE_CLASSES, bones[k]], axis=0).max(axis=0).sum()

        self._for_each(label_slice, range(shape[0]))
        return BoneMaps(
            anatomy=without_noise(anatomy, geometry.spacing_mm),
            ligamentous=ligamentous_probability(behind_cm, bone_pixels, geometry.spacing_mm[0]),
            found_on=found_on,
            certainty=float(probability.sum() / bone_pixels.sum()) if bones.any() else 0.0,
        )


def _overlap(first: Float32Array, second: Float32Array, slices: Iterable[int]) -> float:
    """Dice of sacrum and ilia, label by label, of two outputs of the network on these slices; 0 without bone."""
    same = either = 0
    for k in slices:
        a, b = (each[k, :BONE_CLASSES].argmax(axis=0) for each in (first, second))
        in_a, in_b = sacroiliac_bones(a), sacroiliac_bones(b)
        same += int((in_a & (a == b)).sum())
        either += int(in_a.sum()) + int(in_b.sum())
    return 2 * same / either if either else 0.0
