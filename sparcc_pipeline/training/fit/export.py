"""Write the networks of a run as a MONAI bundle: weights, ONNX, contract, hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from sparcc_pipeline import __version__
from sparcc_pipeline.errors import OutputError
from sparcc_pipeline.imaging.model.bundle import FORMAT
from sparcc_pipeline.imaging.model.networks import BONE_NETWORK, export_onnx, mean_of
from sparcc_pipeline.training.fit.edema import edema_network
from sparcc_pipeline.training.fit.loop import precision
from sparcc_pipeline.training.fit.run import DATA_FILE, PLAN_FILE, TrainingRun
from sparcc_pipeline.training.measure.evaluation_report import evaluation_markdown

INTENDED_USE: Final = (
    "Research only: sacrum, ilia and bone marrow edema on semicoronal STIR of the sacroiliac joints, for a SPARCC "
    "score that a reader checks. Not for diagnosis or treatment."
)
EXAMPLE_SIZES: Final = {"bones": 256, "edema": 160}


def require_new(folder: Path) -> None:
    """Refuse to write a bundle over another.

    Raises
    ------
    OutputError : `folder` exists
    """
    if folder.exists():
        raise OutputError(f"expected a new folder for the bundle, found {folder}; move it away or choose another one")


def export_bundle(run: TrainingRun, evaluation: Mapping[str, Any], name: str, version: str, folder: Path) -> None:
    """Write the networks of all people, with the threshold and the figures of `evaluation`, as a new bundle.

    Raises
    ------
    OutputError : `folder` exists
    """
    require_new(folder)
    bones, edema = run.bones(None), run.edema_members(None)
    for part in ("models", "configs", "docs"):
        (folder / part).mkdir(parents=True)
    definition = edema_network(run.plan.edema)
    _write_network("bones", [bones], bones, BONE_NETWORK["in_channels"], folder)
    _write_network("edema", edema, mean_of(edema), definition["in_channels"], folder)
    inference = {
        "bones": {"network_def": BONE_NETWORK, "members": 1, "mean_probability": False},
        "edema": {
            "network_def": definition,
            "inputs": list(run.plan.edema.inputs),
            "members": len(edema),
            "mean_probability": True,
            "threshold": evaluation["edema_threshold"],
            "calibration": evaluation["calibration"],
            "calibration_stir_alone": evaluation["stir_alone"]["calibration"],
        },
    }
    _write_json(inference, folder / "configs" / "inference.json")
    for source, name_in_bundle in ((PLAN_FILE, "train.json"), (DATA_FILE, "data.json")):
        _write_json(json.loads((run.folder / source).read_text(encoding="utf-8")), folder / "configs" / name_in_bundle)
    # Programs read this file, people read evaluation.md, so it has no indentation.
    (folder / "docs" / "evaluation.json").write_text(json.dumps(evaluation) + "\n", encoding="utf-8")
    (folder / "docs" / "evaluation.md").write_text(evaluation_markdown(evaluation), encoding="utf-8")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md")
    metadata = {
        "sparcc_format": FORMAT,
        "name": name,
        "version": version,
        "made_with": f"sparcc-pipeline {__version__}",
        "monai_version": "1.6.1",
        "pytorch_version": torch.__version__.split("+")[0],
        "trained_in": precision(),
        "task": "segmentation of sacrum, ilia and bone marrow edema on sacroiliac STIR",
        "intended_use": INTENDED_USE,
        "data": "sij_mri (Hepburn et al., arXiv 2106.11343), semicoronal_bones, pelvic_t1; see models/README.md",
        "network_data_format": _data_format(definition["in_channels"]),
        "changelog": {version: "trained by configs/train.json"},
        "sha256": {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
        },
    }
    _write_json(metadata, folder / "configs" / "metadata.json")


def _write_network(name: str, members: list[nn.Module], whole: nn.Module, channels: int, folder: Path) -> None:
    weights = {str(index): member.state_dict() for index, member in enumerate(members)}
    torch.save(weights, folder / "models" / f"{name}.pt")
    size = EXAMPLE_SIZES[name]
    export_onnx(whole, (1, channels, size, size), folder / "models" / f"{name}.onnx")


def _data_format(edema_channels: int) -> dict[str, Any]:
    """Return the inputs and outputs of both networks, in the form of MONAI bundles."""
    stir = "slice before, slice, slice after"
    inputs = "the inputs that configs/inference.json names (normalize.edema_input)"
    classes = "background, sacrum, right ilium, left ilium, lumbar vertebra"
    return {
        "bones": {
            "inputs": {
                "image": {
                    **_channels(3, "log(1 + signal / median signal of the body)"),
                    "spatial_shape": ["16*n", "16*n"],
                    "meaning": f"{stir}; pixels of 0.8 mm",
                }
            },
            "outputs": {
                "output": {
                    **_channels(6),
                    "meaning": f"logits of {classes}; place behind the transitional slice in cm",
                }
            },
        },
        "edema": {
            "inputs": {
                "image": {
                    **_channels(edema_channels, "log(signal / normal marrow), -3 to 3"),
                    "spatial_shape": ["16*n", "16*n"],
                    "meaning": f"{stir}, then {inputs}; centered on one joint; pixels of 0.6 mm; left joints mirrored",
                }
            },
            "outputs": {"output": {**_channels(1, "0 to 1"), "meaning": "probability of bone marrow edema"}},
        },
    }


def _channels(count: int, value_range: str | None = None) -> dict[str, Any]:
    described: dict[str, Any] = {"num_channels": count, "dtype": "float32"}
    return described if value_range is None else {**described, "value_range": value_range}


def _write_json(content: Any, path: Path) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
