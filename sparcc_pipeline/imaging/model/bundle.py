"""The model as a MONAI bundle: a contract (`configs/metadata.json`) that is checked whenever it is loaded.

Nothing in the bundle is executed: `configs/inference.json` holds plain network definitions, which are read as data.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sparcc_pipeline.errors import ModelError
from sparcc_pipeline.imaging.model.networks import build_network, mean_of
from sparcc_pipeline.sparcc.follow_up.change import DETECTABLE_CHANGE
from sparcc_pipeline.sparcc.uncertainty import Calibration

if TYPE_CHECKING:
    from torch import nn

FORMAT: Final = "sparcc-bundle/1"

REQUIRED_KEYS: Final = ("name", "version", "sha256")


@dataclass(frozen=True)
class Bundle:
    """One model folder whose files are those that its metadata names."""

    folder: Path
    metadata: dict[str, Any]
    networks: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Bundle:
        """Read and verify a bundle.

        Raises
        ------
        ModelError : a file is missing, unreadable, of another format, or not the file that the metadata names
        """
        metadata = _read_json(folder / "configs" / "metadata.json")
        if metadata.get("sparcc_format") != FORMAT:
            raise ModelError(
                f"expected a model bundle of format {FORMAT}, found {metadata.get('sparcc_format')!r} in {folder}; "
                "install the model that belongs to this version"
            )
        missing = [key for key in REQUIRED_KEYS if key not in metadata]
        if missing:
            raise ModelError(
                f"expected metadata.json to name {', '.join(missing)}, found none in {folder}; "
                "install the package again"
            )
        for name, expected in metadata["sha256"].items():
            path = folder / name
            if not path.is_file():
                raise ModelError(f"expected the model file {name} in {folder}, found none; install the package again")
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            if found != expected:
                raise ModelError(
                    f"expected {name} with SHA-256 {expected[:12]}…, found {found[:12]}… in {folder}; the model was "
                    "changed or damaged: install the package again"
                )
        return cls(folder, metadata, _read_json(folder / "configs" / "inference.json"))

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self.metadata["name"])

    @property
    def version(self) -> str:
        """The model's version."""
        return str(self.metadata["version"])

    @property
    def sha256(self) -> str:
        """One hash over the hashes of all files of the model."""
        lines = [f"{digest}  {name}" for name, digest in sorted(self.metadata["sha256"].items())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def edema_threshold(self) -> float:
        """Probability from which a voxel counts as edema (see the model card)."""
        return float(self.networks["edema"]["threshold"])

    @property
    def edema_inputs(self) -> tuple[str, ...]:
        """Inputs of the edema network besides the STIR, see `normalize.edema_input`."""
        return tuple(self.networks["edema"].get("inputs", ()))

    @property
    def facts(self) -> dict[str, str]:
        """Name, version and hash, and the smallest detectable change of its total where the metadata holds one."""
        facts = {"name": self.name, "version": self.version, "sha256": self.sha256}
        if DETECTABLE_CHANGE in self.metadata:
            facts[DETECTABLE_CHANGE] = str(float(self.metadata[DETECTABLE_CHANGE]))
        return facts

    def calibration(self, *, with_t1: bool) -> Calibration | None:
        """Return how certain the model is of its points, measured out of fold on studies with T1 or on STIR alone.

        None for a model that was not calibrated on them.
        """
        stored = self.networks["edema"].get("calibration" if with_t1 else "calibration_stir_alone")
        return None if stored is None else Calibration.from_json(stored)

    def file(self, name: str) -> Path:
        """Return the path of one file of the bundle, such as "models/bones.onnx".

        Raises
        ------
        ModelError : the metadata names no such file
        """
        if name not in self.metadata["sha256"]:
            raise ModelError(
                f"expected the bundle {self.folder} to list {name}, found {sorted(self.metadata['sha256'])}"
            )
        return self.folder / name

    def torch_module(self, name: str) -> nn.Module:
        """Return the torch module "bones" or "edema" with its weights, for the reference engine.

        Raises
        ------
        ModelError : torch and MONAI are not installed
        """
        try:
            import torch

            definition = self.networks[name]
            members = [build_network(definition["network_def"]) for _ in range(definition["members"])]
        except ModuleNotFoundError as missing:
            raise ModelError(
                f"expected torch and MONAI for the engine torch, found no module {missing.name}; install "
                "'sparcc-pipeline[train]' or use the engine onnx"
            ) from missing
        weights = torch.load(self.file(f"models/{name}.pt"), map_location="cpu", weights_only=True)
        for index, member in enumerate(members):
            member.load_state_dict(weights[str(index)])
            member.eval()
        return mean_of(members) if definition["mean_probability"] else members[0]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as missing:
        raise ModelError(
            f"expected a model bundle with {path.name}, found none in {path.parent}; install the package again, or "
            "make the model with `sparcc model train`"
        ) from missing
    except (OSError, ValueError) as broken:
        raise ModelError(
            f"expected {path} to be JSON, found something unreadable; install the package again"
        ) from broken
    if not isinstance(content, dict):
        raise ModelError(f"expected {path} to hold a JSON object; install the package again")
    return content
