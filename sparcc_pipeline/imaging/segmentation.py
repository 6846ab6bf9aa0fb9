"""From a STIR volume to tissue maps: bones on whole slices, then edema in a patch around each joint.

Pre- and post-processing are numpy and the same for every engine (`engines.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sparcc_pipeline.each_slice import on_threads
from sparcc_pipeline.imaging.bones import BoneMaps, BoneSegmenter
from sparcc_pipeline.imaging.edema import find_edema
from sparcc_pipeline.imaging.fluid import find_csf, find_disc
from sparcc_pipeline.imaging.marrow_height import marrow_by_height
from sparcc_pipeline.imaging.model.bundle import Bundle
from sparcc_pipeline.imaging.model.engines import (
    Network,
    OnnxNetwork,
    OpenVinoNetwork,
    TorchNetwork,
)
from sparcc_pipeline.imaging.model.normalize import joint_distance_mm, normal_marrow_region, normal_marrow_signal
from sparcc_pipeline.imaging.plausibility import bone_evidence, require_sacroiliac, require_stir_contrast
from sparcc_pipeline.imaging.vessels import find_presacral_vessels
from sparcc_pipeline.sparcc.joint import Joints, find_joints
from sparcc_pipeline.sparcc.uncertainty import Calibration
from sparcc_pipeline.volume import STIR, T1, TissueMaps, Volume


class ModelSegmenter:
    """Both networks of one model, loaded once and used for any number of volumes.

    Parameters
    ----------
    edema_threshold : probability from which a voxel counts as edema
    provenance : name, version, sha256 and engine of the model
    calibrations : by the contrast that showed the bones: T1 (with STIR), or STIR alone
    edema_inputs : inputs of the edema network besides the STIR, see `normalize.edema_input`
    callers : threads that may call the networks at one time; each works on one slice after the other
    """

    def __init__(
        self,
        bones: Network,
        edema: Network,
        edema_threshold: float,
        provenance: dict[str, str],
        calibrations: Mapping[str, Calibration | None] | None = None,
        edema_inputs: Sequence[str] = (),
        callers: int = 1,
    ) -> None:
        self._for_each = on_threads(callers)
        self._bones, self._edema = BoneSegmenter(bones, self._for_each), edema
        self._edema_inputs = tuple(edema_inputs)
        self._edema_threshold = edema_threshold
        self.provenance = provenance
        self._calibrations = calibrations or {}

    def calibration_of(self, tissue: TissueMaps) -> Calibration | None:
        """Return how certain the model is of points from these maps: more where T1 showed the bones."""
        return self._calibrations.get(T1 if T1 in tissue.bones_from else STIR)

    def find_bones(self, volume: Volume, t1: Volume | None = None) -> BoneMaps:
        """Find the bones of one volume, see `BoneSegmenter.find`."""
        return self._bones.find(volume, t1)

    def segment(self, volume: Volume, t1: Volume | None = None) -> tuple[TissueMaps, Joints]:
        """Return the tissue maps of one STIR volume, and its joints.

        `t1` is the T1-weighted series of the same study. It helps to find the bones where the scanner placed both in
        one frame of reference.

        Raises
        ------
        NotStirError : fat is as bright as fluid
        NotSacroiliacError : what was found does not look like sacrum and ilia
        JointNotVisibleError : sacrum and an ilium do not face each other on any slice
        ReferenceSignalError : too little marrow away from the joints to compare with
        """
        require_stir_contrast(volume)
        bones = self.find_bones(volume, t1)
        signal, anatomy, geometry = volume.signal, bones.anatomy, volume.geometry
        require_sacroiliac(bone_evidence(bones.certainty, anatomy, geometry))
        joints = find_joints(anatomy, geometry, self._for_each)
        distance = joint_distance_mm(joints)
        marrow = normal_marrow_signal(signal, anatomy, distance)
        region = normal_marrow_region(anatomy, distance)
        edema = find_edema(self._edema, self._edema_inputs, signal, anatomy, joints, marrow, for_each=self._for_each)
        tissue = TissueMaps(
            geometry=geometry,
            anatomy=anatomy,
            edema_probability=edema,
            edema_threshold=self._edema_threshold,
            vessel=find_presacral_vessels(signal, anatomy, geometry, marrow, bones.ligamentous),
            ligamentous=bones.ligamentous,
            normal_marrow=marrow,
            bones_from=bones.found_on,
            bones_certainty=bones.certainty,
            csf=find_csf(signal, anatomy, geometry, marrow),
            disc=find_disc(signal, anatomy, geometry, marrow, bones.ligamentous),
            marrow_at_height=marrow_by_height(signal, region, geometry, marrow),
        )
        return tissue, joints


def load_segmenter(folder: Path, *, engine: str = "onnx", threads: int = 2) -> ModelSegmenter:
    """Load a model bundle, checked against its contract and hashes.

    `engine` is "onnx" (default), "openvino" (needs the extra `fast`) or "torch" (needs the extra `train`).

    Raises
    ------
    ModelError : the bundle is missing, incomplete or changed, or the engine is not installed
    """
    bundle = Bundle.open(folder)
    # Two slices at a time, on a thread each, take less time than one slice on two threads. The other engines have a
    # state that calls share.
    callers = threads if engine == "onnx" else 1
    return ModelSegmenter(
        _network(bundle, "bones", engine, threads),
        _network(bundle, "edema", engine, threads),
        bundle.edema_threshold,
        {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256, "engine": engine},
        {T1: bundle.calibration(with_t1=True), STIR: bundle.calibration(with_t1=False)},
        bundle.edema_inputs,
        callers,
    )


def _network(bundle: Bundle, name: str, engine: str, threads: int) -> Network:
    """One network of a bundle, "bones" or "edema", on an engine."""
    if engine == "torch":
        return TorchNetwork(bundle.torch_module(name), threads)
    if engine == "openvino":
        return OpenVinoNetwork(bundle.file(f"models/{name}.onnx"), threads)
    return OnnxNetwork(bundle.file(f"models/{name}.onnx"), threads=1)
