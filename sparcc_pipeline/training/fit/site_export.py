"""Write a bundle of an edema network that a site trained; the bones network is that of the bundle it started from.

Contents: `edema_members`, `export_site_bundle`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from sparcc_pipeline import __version__
from sparcc_pipeline.imaging.model.bundle import FORMAT, Bundle
from sparcc_pipeline.imaging.model.networks import build_network, export_onnx, mean_of
from sparcc_pipeline.training.fit.export import EXAMPLE_SIZES, INTENDED_USE, require_new

COPIED: Final = ("models/bones.pt", "models/bones.onnx")


def edema_members(bundle: Bundle, *, from_nothing: bool, seed: int) -> list[nn.Module]:
    """Return the edema networks to start from: those of the bundle, or one of the same design with random weights."""
    definition = bundle.networks["edema"]
    if from_nothing:
        torch.manual_seed(seed)
        return [build_network(definition["network_def"])]
    weights = torch.load(bundle.file("models/edema.pt"), map_location="cpu", weights_only=True)
    members = []
    for index in range(definition["members"]):
        member = build_network(definition["network_def"])
        member.load_state_dict(weights[str(index)])
        members.append(member)
    return members


def export_site_bundle(
    base: Bundle,
    members: Sequence[nn.Module],
    evaluation: Mapping[str, Any],
    learned_from: str,
    name: str,
    version: str,
    folder: Path,
) -> None:
    """Write a new bundle: bones and threshold of `base`, edema of `members`, without a calibration.

    Raises
    ------
    OutputError : `folder` exists
    """
    require_new(folder)
    for part in ("models", "configs", "docs"):
        (folder / part).mkdir(parents=True)
    for file in COPIED:
        shutil.copyfile(base.file(file), folder / file)
    whole = mean_of(list(members))
    definition = base.networks["edema"]["network_def"]
    size = EXAMPLE_SIZES["edema"]
    torch.save({str(n): each.state_dict() for n, each in enumerate(members)}, folder / "models" / "edema.pt")
    export_onnx(whole, (1, definition["in_channels"], size, size), folder / "models" / "edema.onnx")
    edema = {
        "network_def": definition,
        "inputs": list(base.edema_inputs),
        "members": len(members),
        "mean_probability": True,
        "threshold": base.edema_threshold,
    }
    _write({"bones": base.networks["bones"], "edema": edema}, folder / "configs" / "inference.json")
    _write(dict(evaluation), folder / "docs" / "evaluation.json")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    metadata = {
        "sparcc_format": FORMAT,
        "name": name,
        "version": version,
        "made_with": f"sparcc-pipeline {__version__}",
        "pytorch_version": torch.__version__.split("+")[0],
        "task": base.metadata.get("task"),
        "intended_use": INTENDED_USE,
        "data": learned_from,
        "data_licence": f"that of the site's own studies for edema; for the bones see {base.name} {base.version}",
        "network_data_format": base.metadata.get("network_data_format"),
        "changelog": {version: f"edema network trained by a site; bones of {base.name} {base.version}"},
        "sha256": {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
        },
    }
    _write(metadata, folder / "configs" / "metadata.json")


def _write(content: Any, path: Path) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
