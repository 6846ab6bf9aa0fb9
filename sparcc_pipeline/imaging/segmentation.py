"""STIR volume -> tissue maps: bones on whole slices, then edema in a patch about each joint.

Pre- and post-processing are numpy and shared by every engine: ONNX Runtime (default), torch (reference), OpenVINO.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from scipy import ndimage
from scipy.special import expit

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel
from sparcc_pipeline.errors import ModelError
from sparcc_pipeline.imaging.bundle import Bundle
from sparcc_pipeline.imaging.networks import BONE_CLASSES
from sparcc_pipeline.imaging.normalize import (
    BONE_PIXEL_MM,
    JointCrop,
    compress_signal,
    edema_input,
    joint_distance_mm,
    marrow_log_ratio,
    neighbours,
    normal_marrow_signal,
    resample_in_plane,
    sample_back,
)
from sparcc_pipeline.imaging.vessels import find_presacral_vessels
from sparcc_pipeline.sparcc.joint import QUADRANT_REACH_MM, Joints, find_joints
from sparcc_pipeline.volume import BoolArray, Float32Array, FloatArray, LabelArray, TissueMaps, Volume

CROP_PIXELS: Final = 160
"""Side of the patch about a joint: 96 mm, the joint and 30 mm on both sides of it."""

PLACE_REACH_CM: Final = 1.0
"""Slices this far from the transitional one (by their own account) still say well where it is, farther ones less."""

LIGAMENTOUS_SPREAD_MM: Final = 4.0
"""How softly the ligamentous probability steps at the transitional slice: readings are good to one slice."""

_STRIDE: Final = 16
_BATCH: Final = 4
_SMALLEST_PIECE: Final = 0.1
"""Pieces of a bone smaller than this share of its largest piece are noise."""


class Network(Protocol):
    """(n, channels, rows, columns) float32 in, the same layout out."""

    def __call__(self, batch: Float32Array) -> Float32Array: ...


class OnnxNetwork:
    """A network run by ONNX Runtime on the processor."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # The arena keeps every buffer it ever had; without it the peak is that of one batch.
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, batch: Float32Array) -> Float32Array:
        output: Float32Array = self._session.run(None, {"image": batch})[0]
        return output


class TorchNetwork:
    """A network run by torch on the processor: the reference engine."""

    def __init__(self, module: Any, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._torch, self._module = torch, module

    def __call__(self, batch: Float32Array) -> Float32Array:
        with self._torch.inference_mode():
            output: Float32Array = self._module(self._torch.from_numpy(batch)).numpy()
        return output


class OpenVinoNetwork:
    """A network run by OpenVINO on the processor, in 32-bit floating point on every one.

    Its default precision is bf16 where the processor has that, which shifts logits by up to 0.3: a score would depend
    on the processor.
    """

    def __init__(self, path: Path, threads: int) -> None:
        try:
            import openvino
        except ModuleNotFoundError as missing:
            raise ModelError(
                f"expected OpenVINO for the engine openvino, found no module {missing.name}; install "
                "'sparcc-pipeline[fast]' or use the engine onnx"
            ) from missing
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": str(threads),
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._model = openvino.Core().compile_model(str(path), "CPU", settings)

    def __call__(self, batch: Float32Array) -> Float32Array:
        # The result is the engine's own memory, used again by the next call.
        return np.array(self._model(batch)[0], dtype=np.float32)


class Segmenter:
    """Both networks of one model, loaded once and used for any number of volumes."""

    def __init__(self, bones: Network, edema: Network, edema_threshold: float, provenance: dict[str, str]) -> None:
        self._bones, self._edema = bones, edema
        self._edema_threshold = edema_threshold
        self.provenance = provenance

    def segment(self, volume: Volume) -> tuple[TissueMaps, Joints]:
        """Bones, edema probability, presacral vessels and ligamentous probability of one STIR volume, and its joints.

        Raises
        ------
        JointNotVisibleError : sacrum and an ilium do not face each other on any slice
        ReferenceSignalError : too little marrow away from the joints to compare with
        """
        anatomy, ligamentous = self.find_bones(volume)
        nothing = np.zeros(anatomy.shape, dtype=np.float32)
        without_edema = TissueMaps(volume.geometry, anatomy, nothing, self._edema_threshold, nothing > 0, ligamentous)
        joints = find_joints(without_edema)
        marrow = normal_marrow_signal(volume.signal, anatomy, joint_distance_mm(joints))
        tissue = TissueMaps(
            geometry=volume.geometry,
            anatomy=anatomy,
            edema_probability=self.find_edema(volume, anatomy, joints, marrow),
            edema_threshold=self._edema_threshold,
            vessel=find_presacral_vessels(volume.signal, anatomy, volume.geometry, marrow),
            ligamentous=ligamentous,
        )
        return tissue, joints

    def find_bones(self, volume: Volume) -> tuple[LabelArray, Float32Array]:
        """(slices, rows, columns) codes of `AnatomyLabel`, and (slices,) probability that ligament shows."""
        in_plane, shape = volume.geometry.in_plane_mm, volume.geometry.shape
        stack = resample_in_plane(compress_signal(volume.signal), in_plane, BONE_PIXEL_MM)
        rows, columns = stack.shape[1:]
        stack = np.pad(stack, ((0, 0), (0, -rows % _STRIDE), (0, -columns % _STRIDE)), mode="edge")
        anatomy = np.empty(shape, dtype=np.uint8)
        behind_cm, bone_pixels = np.zeros(shape[0]), np.zeros(shape[0])
        for start in range(0, shape[0], _BATCH):
            indices = range(start, min(start + _BATCH, shape[0]))
            output = self._bones(np.stack([neighbours(stack, k) for k in indices]))[:, :, :rows, :columns]
            for k, logits in zip(indices, output, strict=True):
                native = sample_back(logits[:BONE_CLASSES], in_plane, BONE_PIXEL_MM, (shape[1], shape[2]))
                anatomy[k] = native.argmax(axis=0)
                bone = np.isin(logits[:BONE_CLASSES].argmax(axis=0), [AnatomyLabel.SACRUM, *ILIUM_LABEL.values()])
                bone_pixels[k] = bone.sum()
                behind_cm[k] = logits[BONE_CLASSES][bone].mean() if bone.any() else 0.0
        return _without_noise(anatomy), ligamentous_probability(behind_cm, bone_pixels, volume.geometry.spacing_mm[0])

    def find_edema(self, volume: Volume, anatomy: LabelArray, joints: Joints, marrow: float) -> Float32Array:
        """(slices, rows, columns) float32 edema probability, 0 away from the joints and outside sacrum and ilium."""
        in_plane, shape = volume.geometry.in_plane_mm, (volume.geometry.shape[1], volume.geometry.shape[2])
        ratio = marrow_log_ratio(volume.signal, marrow)
        probability = np.zeros(volume.geometry.shape, dtype=np.float32)
        found = list(joints)
        for start in range(0, len(found), _BATCH):
            batch = found[start : start + _BATCH]
            crops = [JointCrop(joint, in_plane, CROP_PIXELS) for joint in batch]
            images = np.stack([edema_input(ratio, j, crop) for j, crop in zip(batch, crops, strict=True)])
            for joint, crop, patch in zip(batch, crops, self._edema(images), strict=True):
                k = joint.slice_index
                marrow_here = _marrow_beside(joint.surface_distance_mm, anatomy[k], ILIUM_LABEL[joint.side])
                native = np.where(marrow_here, crop.put_back(patch[0], shape), np.float32(0))
                np.maximum(probability[k], native, out=probability[k])
        return probability


def ligamentous_probability(behind_cm: FloatArray, bone_pixels: FloatArray, spacing_mm: float) -> Float32Array:
    """(slices,) probability that the ligamentous part of the joints shows.

    Every slice says how far behind the transitional slice it takes itself to be (`behind_cm`); the transitional slice
    is the median of their votes, slices near it and slices with much bone counting most.
    """
    index = np.arange(len(behind_cm))
    vote = index - 10 * behind_cm / spacing_mm
    weight = bone_pixels * np.exp(-((behind_cm / PLACE_REACH_CM) ** 2))
    if not weight.any():
        return np.zeros(len(behind_cm), dtype=np.float32)
    order = np.argsort(vote)
    share = np.cumsum(weight[order]) / weight.sum()
    transitional = vote[order][np.searchsorted(share, 0.5)]
    probability: Float32Array = expit((index - transitional + 0.5) * spacing_mm / LIGAMENTOUS_SPREAD_MM)
    return probability.astype(np.float32)


def _marrow_beside(distance_mm: Float32Array, anatomy: LabelArray, ilium: AnatomyLabel) -> BoolArray:
    """(rows, columns) bool: sacrum and one ilium within reach of their joint."""
    return np.isin(anatomy, [AnatomyLabel.SACRUM, ilium]) & (distance_mm <= QUADRANT_REACH_MM)


def _without_noise(anatomy: LabelArray) -> LabelArray:
    """The anatomy without small pieces that hang together with no bone (in three dimensions)."""
    clean = np.zeros_like(anatomy)
    for label in AnatomyLabel:
        if label is AnatomyLabel.BACKGROUND:
            continue
        pieces, count = ndimage.label(anatomy == label)
        if count:
            sizes = np.bincount(pieces.ravel())[1:]
            clean[np.isin(pieces, 1 + np.flatnonzero(sizes >= _SMALLEST_PIECE * sizes.max()))] = label
    return clean


def load_segmenter(folder: Path, *, engine: str = "onnx", threads: int = 2) -> Segmenter:
    """Load a model bundle, checked against its contract and hashes.

    `engine` is "onnx" (default), "openvino" (needs the extra `fast`) or "torch" (needs the extra `train`).

    Raises
    ------
    ModelError : the bundle is missing, incomplete or changed, or the engine cannot be had
    """
    bundle = Bundle.open(folder)
    networks: dict[str, Network] = {}
    for name in ("bones", "edema"):
        if engine == "torch":
            networks[name] = TorchNetwork(bundle.torch_module(name), threads)
        elif engine == "openvino":
            networks[name] = OpenVinoNetwork(bundle.file(f"models/{name}.onnx"), threads)
        else:
            networks[name] = OnnxNetwork(bundle.file(f"models/{name}.onnx"), threads)
    provenance = {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256, "engine": engine}
    return Segmenter(networks["bones"], networks["edema"], bundle.edema_threshold, provenance)
