"""STIR volume -> tissue maps: bones on whole slices, then edema in a patch about each joint.

Where the study has a T1-weighted series, the bones are found on both: the joint shows more clearly on T1, and there
sacrum and ilium are cut.

Pre- and post-processing are numpy and shared by every engine (`engines.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from scipy.special import expit, softmax

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel
from sparcc_pipeline.imaging.alignment.second_contrast import Laid, lay_on
from sparcc_pipeline.imaging.bone_pieces import WINDOW_SLICES, field_about, fields_within, without_noise
from sparcc_pipeline.imaging.edema import find_edema, one_by_one
from sparcc_pipeline.imaging.fluid import find_csf, find_disc
from sparcc_pipeline.imaging.joint_path import follow_joints
from sparcc_pipeline.imaging.marrow_height import marrow_by_height
from sparcc_pipeline.imaging.model.bundle import Bundle
from sparcc_pipeline.imaging.model.engines import Network, OnnxNetwork, OpenVinoNetwork, TorchNetwork
from sparcc_pipeline.imaging.model.networks import BONE_CLASSES
from sparcc_pipeline.imaging.model.normalize import (
    BONE_PIXEL_MM,
    compress_signal,
    joint_distance_mm,
    neighbours,
    normal_marrow_region,
    normal_marrow_signal,
    resample_in_plane,
    sample_back,
)
from sparcc_pipeline.imaging.plausibility import bone_evidence, require_sacroiliac, require_stir_contrast
from sparcc_pipeline.imaging.vessels import find_presacral_vessels
from sparcc_pipeline.sparcc.joint import Joints, find_joints
from sparcc_pipeline.sparcc.uncertainty import Calibration
from sparcc_pipeline.volume import (
    STIR,
    T1,
    Float32Array,
    FloatArray,
    Geometry,
    LabelArray,
    TissueMaps,
    Volume,
)

SACROILIAC_BONES: Final = (AnatomyLabel.SACRUM, *ILIUM_LABEL.values())

T1_WEIGHT: Final = 0.8
"""Share of T1 in the bone logits of slices that both show: the joint is clearer there. On people left out 0.8 was as
good as 0.6 or better (project decision)."""

SAME_BONES: Final = 0.76
"""Overlap of the bones found on STIR and on T1 from which both show the patient in one position. On people left out it
was 0.79 or more, and at most 0.74 with T1 moved by 5 mm (project decision)."""

PLACE_REACH_CM: Final = 1.0
"""Slices this far from the transitional one (by their own account) still say well where it is, farther ones less."""

LEAST_RISE: Final = 0.02
"""Weight that a slice keeps which says the same of its place as its neighbours do (project decision)."""

LIGAMENTOUS_SPREAD_MM: Final = 4.0
"""How softly the ligamentous probability steps at the transitional slice: readings are good to one slice."""

_STRIDE: Final = 16


@dataclass(frozen=True, eq=False)
class BoneMaps:
    """Bones of one volume.

    Parameters
    ----------
    anatomy : (slices, rows, columns) codes of `AnatomyLabel`
    ligamentous : (slices,) probability that the ligamentous part of the joints shows
    found_on : the contrasts that were used
    certainty : mean probability of what is called sacrum or ilium, 0 where nothing is
    """

    anatomy: LabelArray
    ligamentous: Float32Array
    found_on: tuple[str, ...]
    certainty: float


class Segmenter:
    """Both networks of one model, loaded once and used for any number of volumes.

    Parameters
    ----------
    calibrations : of studies whose bones were found on T1 as well, and of those where they were on STIR alone
    edema_inputs : what the edema network sees besides the STIR, see `normalize.edema_input`
    callers : threads that may call the networks at one time; slices are independent, so each takes one after the other
    """

    def __init__(self, bones: Network, edema: Network, edema_threshold: float, provenance: dict[str, str],
                 calibrations: Mapping[str, Calibration | None] | None = None, edema_inputs: Sequence[str] = (),
                 callers: int = 1) -> None:  # fmt: skip
        self._bones, self._edema, self._callers = bones, edema, callers
        self._edema_inputs = tuple(edema_inputs)
        self._edema_threshold = edema_threshold
        self.provenance = provenance
        self._calibrations = calibrations or {}

    def calibration_of(self, tissue: TissueMaps) -> Calibration | None:
        """How sure the model is of the points that follow from these maps: surer where T1 showed the bones."""
        return self._calibrations.get(T1 if T1 in tissue.bones_from else STIR)

    def segment(self, volume: Volume, t1: Volume | None = None) -> tuple[TissueMaps, Joints]:
        """Bones, edema, reference tissues and ligamentous probability of one STIR volume, and its joints.

        `t1` is the T1-weighted series of the same study; it helps to find the bones where it can be laid on the STIR.

        Raises
        ------
        NotStirError : fat is as bright as fluid
        NotSacroiliacError : what was found does not look like sacrum and ilia
        JointNotVisibleError : sacrum and an ilium do not face each other on any slice
        ReferenceSignalError : too little marrow away from the joints to compare with
        """
        require_stir_contrast(volume)
        bones = self.find_bones(volume, t1)
        require_sacroiliac(bone_evidence(bones.certainty, bones.anatomy, volume.geometry))
        anatomy = bones.anatomy
        joints = find_joints(anatomy, volume.geometry)
        distance = joint_distance_mm(joints)
        marrow = normal_marrow_signal(volume.signal, anatomy, distance)
        region = normal_marrow_region(anatomy, distance)
        place = (volume.signal, anatomy, volume.geometry, marrow)
        tissue = TissueMaps(
            geometry=volume.geometry,
            anatomy=anatomy,
            edema_probability=find_edema(
                self._edema, self._edema_inputs, volume.signal, anatomy, joints, marrow, each=self._each
            ),
            edema_threshold=self._edema_threshold,
            vessel=find_presacral_vessels(*place, bones.ligamentous),
            ligamentous=bones.ligamentous,
            normal_marrow=marrow,
            bones_from=bones.found_on,
            bones_certainty=bones.certainty,
            csf=find_csf(*place),
            disc=find_disc(*place, bones.ligamentous),
            marrow_at_height=marrow_by_height(volume.signal, region, volume.geometry, marrow),
        )
        return tissue, joints

    def find_bones(self, volume: Volume, t1: Volume | None = None) -> BoneMaps:
        """The bones of one volume.

        T1 is left out where it was not imaged, and as a whole where its bones lie elsewhere than those of STIR. Of a
        large field of view only the part about the sacrum is looked at: so other bones are out of sight, and the signal
        is scaled by the body beside the joints.
        """
        laid = None if t1 is None else lay_on(t1, volume.geometry)
        window = self._window(volume)
        if window is None:
            return self._bones_in(volume.signal, volume.geometry, laid)
        seen = (slice(None), *window)
        signal = volume.signal[seen]
        geometry = replace(volume.geometry, shape=(signal.shape[0], signal.shape[1], signal.shape[2]))
        found = self._bones_in(signal, geometry, None if laid is None else Laid(laid.signal[seen], laid.covered))
        anatomy = np.zeros(volume.geometry.shape, dtype=np.uint8)
        anatomy[seen] = found.anatomy
        return replace(found, anatomy=anatomy)

    def _window(self, volume: Volume) -> tuple[slice, slice] | None:
        """Rows and columns about the sacrum of a large field of view, from its middle slices; None of a usual one.

        Overlapping parts of the image are tried; the surest of those that show all three bones says where they are.
        """
        middle = volume.geometry.shape[0] // 2
        block = volume.signal[max(middle - WINDOW_SLICES // 2, 0) : middle + WINDOW_SLICES // 2 + 1]
        sacrum, best = np.zeros(block.shape, dtype=bool), (False, 0.0)
        for seen in fields_within(volume.geometry):
            part = block[:, *seen]
            geometry = replace(volume.geometry, shape=(part.shape[0], part.shape[1], part.shape[2]))
            found = self._bones_in(part, geometry, None)
            evidence = bone_evidence(found.certainty, found.anatomy, geometry)
            how_good = (None not in evidence.sideways_mm, found.certainty)
            if how_good > best:
                best, sacrum = how_good, np.zeros(block.shape, dtype=bool)
                sacrum[:, *seen] = found.anatomy == AnatomyLabel.SACRUM
        return field_about(sacrum, volume.geometry)

    def _bones_in(self, signal: Float32Array, geometry: Geometry, laid: Laid | None) -> BoneMaps:
        """The bones of one stack, of which only size and spacing count; `laid` is T1 on the same voxels."""
        output = self._bone_output(signal, geometry)
        found_on: tuple[str, ...] = (STIR,)
        if laid is not None:
            second = self._bone_output(laid.signal, geometry)
            covered = np.flatnonzero(laid.covered)
            if _bone_overlap(output, second, covered) >= SAME_BONES:
                for k in covered:
                    output[k] += T1_WEIGHT * (second[k] - output[k])
                found_on = (STIR, T1)
        found = self._bones_of(output, geometry, found_on)
        if laid is None or T1 not in found_on:
            return found
        return replace(found, anatomy=follow_joints(found.anatomy, geometry, laid, found.ligamentous))

    def _bone_output(self, signal: Float32Array, geometry: Geometry) -> Float32Array:
        """(slices, BONE_CLASSES + 1, rows, columns): the bone network on every slice, on pixels of BONE_PIXEL_MM."""
        stack = resample_in_plane(compress_signal(signal), geometry.in_plane_mm, BONE_PIXEL_MM)
        rows, columns = stack.shape[1:]
        stack = np.pad(stack, ((0, 0), (0, -rows % _STRIDE), (0, -columns % _STRIDE)), mode="edge")
        output = np.empty((len(stack), BONE_CLASSES + 1, rows, columns), dtype=np.float32)

        def fill(k: int) -> None:
            # One slice a call: several are no faster, and take as much more memory.
            output[k] = self._bones(neighbours(stack, k)[None])[0, :, :rows, :columns]

        self._each(fill, range(len(stack)))
        return output

    def _each(self, work: Callable[[int], None], items: range) -> None:
        """Work on every item, on as many threads as may call the networks."""
        if self._callers == 1:
            one_by_one(work, items)
            return
        with ThreadPoolExecutor(self._callers) as pool:
            for _ in pool.map(work, items):
                pass  # raises what the work raised

    def _bones_of(self, output: Float32Array, geometry: Geometry, found_on: tuple[str, ...]) -> BoneMaps:
        """The bones on the pixels of `geometry`, from the output of the network on its own pixels."""
        shape = geometry.shape
        labels = np.stack([logits[:BONE_CLASSES].argmax(axis=0).astype(np.uint8) for logits in output])
        # What turns out to be no bone has no say in where the transitional slice is.
        bones = np.isin(without_noise(labels, (geometry.spacing_mm[0], BONE_PIXEL_MM, BONE_PIXEL_MM)), SACROILIAC_BONES)
        anatomy = np.empty(shape, dtype=np.uint8)
        bone_pixels = bones.sum(axis=(1, 2)).astype(float)
        behind_cm, probability = np.zeros(shape[0]), np.zeros(shape[0])

        def name(k: int) -> None:
            logits = output[k]
            native = sample_back(logits[:BONE_CLASSES], geometry.in_plane_mm, BONE_PIXEL_MM, (shape[1], shape[2]))
            anatomy[k] = native.argmax(axis=0)
            if bones[k].any():
                behind_cm[k] = logits[BONE_CLASSES][bones[k]].mean()
                probability[k] = softmax(logits[:BONE_CLASSES, bones[k]], axis=0).max(axis=0).sum()

        self._each(name, range(shape[0]))
        return BoneMaps(
            anatomy=without_noise(anatomy, geometry.spacing_mm),
            ligamentous=ligamentous_probability(behind_cm, bone_pixels, geometry.spacing_mm[0]),
            found_on=found_on,
            certainty=float(probability.sum() / bone_pixels.sum()) if bones.any() else 0.0,
        )


def _bone_overlap(first: Float32Array, second: Float32Array, slices: Iterable[int]) -> float:
    """Dice of sacrum and ilia, each with its own, of two outputs of the bone network; 0 where one found none."""
    same = either = 0
    for k in slices:
        a, b = (each[k, :BONE_CLASSES].argmax(axis=0) for each in (first, second))
        in_a, in_b = np.isin(a, SACROILIAC_BONES), np.isin(b, SACROILIAC_BONES)
        same += int((in_a & (a == b)).sum())
        either += int(in_a.sum()) + int(in_b.sum())
    return 2 * same / either if either else 0.0


def ligamentous_probability(behind_cm: FloatArray, bone_pixels: FloatArray, spacing_mm: float) -> Float32Array:
    """(slices,) probability that the ligamentous part of the joints shows.

    Every slice says how far behind the transitional slice it takes itself to be (`behind_cm`); the transitional slice
    is the median of their votes. Slices near it, slices with much bone and slices that say something else than their
    neighbours count most: far behind it networks say one and the same of many slices.
    """
    slices = np.flatnonzero(bone_pixels > 0)
    if not slices.size:
        return np.zeros(len(behind_cm), dtype=np.float32)
    said = behind_cm[slices]
    vote = slices - 10 * said / spacing_mm
    rise = 10 * np.gradient(said, slices) / spacing_mm if len(slices) > 1 else np.ones(1)
    weight = bone_pixels[slices] * np.exp(-((said / PLACE_REACH_CM) ** 2)) * (np.clip(rise, 0, 1) + LEAST_RISE)
    if not weight.any():
        return np.zeros(len(behind_cm), dtype=np.float32)
    order = np.argsort(vote)
    share = np.cumsum(weight[order]) / weight.sum()
    transitional = vote[order][np.searchsorted(share, 0.5)]
    index = np.arange(len(behind_cm))
    probability: Float32Array = expit((index - transitional + 0.5) * spacing_mm / LIGAMENTOUS_SPREAD_MM)
    return probability.astype(np.float32)


def load_segmenter(folder: Path, *, engine: str = "onnx", threads: int = 2) -> Segmenter:
    """Load a model bundle, checked against its contract and hashes.

    `engine` is "onnx" (default), "openvino" (needs the extra `fast`) or "torch" (needs the extra `train`).

    Raises
    ------
    ModelError : the bundle is missing, incomplete or changed, or the engine cannot be had
    """
    bundle = Bundle.open(folder)
    networks: dict[str, Network] = {}
    # Two slices at a time on a thread each take less time than one slice on two threads. The other engines have a state
    # that calls share.
    callers = threads if engine == "onnx" else 1
    for name in ("bones", "edema"):
        if engine == "torch":
            networks[name] = TorchNetwork(bundle.torch_module(name), threads)
        elif engine == "openvino":
            networks[name] = OpenVinoNetwork(bundle.file(f"models/{name}.onnx"), threads)
        else:
            networks[name] = OnnxNetwork(bundle.file(f"models/{name}.onnx"), threads=1)
    provenance = {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256, "engine": engine}
    return Segmenter(
        networks["bones"],
        networks["edema"],
        bundle.edema_threshold,
        provenance,
        {T1: bundle.calibration(with_t1=True), STIR: bundle.calibration(with_t1=False)},
        bundle.edema_inputs,
        callers,
    )
