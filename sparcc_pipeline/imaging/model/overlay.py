"""An overlay of a model bundle: threshold and calibration of a site, with their own version, hash and card.

An overlay holds no weights. It fits one bundle, the one that scored the readings that it was fitted on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.errors import ModelError
from sparcc_pipeline.imaging.model.bundle import Bundle
from sparcc_pipeline.sparcc.uncertainty import Calibration

OVERLAY_FILE: Final = "overlay.json"
OVERLAY_FORMAT: Final = "sparcc-overlay/1"

_KEYS: Final = ("name", "version", "base", "edema_threshold", "calibration", "calibration_stir_alone", "sha256")


@dataclass(frozen=True)
class Overlay:
    """One overlay whose content is that of its hash."""

    folder: Path
    content: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Overlay:
        """Read and verify an overlay.

        Raises
        ------
        ModelError : it is missing, unreadable, of another format, or changed
        """
        try:
            content = json.loads((folder / OVERLAY_FILE).read_text(encoding="utf-8"))
            sound = content["sparcc_format"] == OVERLAY_FORMAT and all(key in content for key in _KEYS)
        except (OSError, ValueError, KeyError, TypeError):
            sound = False
        if not sound:
            raise ModelError(
                f"expected {OVERLAY_FILE} of format {OVERLAY_FORMAT} in {folder}, found none that can be read; write "
                "it again with `sparcc model recalibrate`"
            )
        found = overlay_hash(content)
        if found != content["sha256"]:
            raise ModelError(
                f"expected an overlay with SHA-256 {str(content['sha256'])[:12]}…, found {found[:12]}… in {folder}; it "
                "was changed or damaged: write it again with `sparcc model recalibrate`"
            )
        return cls(folder, content)

    @property
    def edema_threshold(self) -> float:
        """Probability from which a voxel counts as edema."""
        return float(self.content["edema_threshold"])

    def calibration(self, *, with_t1: bool) -> Calibration | None:
        """Return the calibration for studies with T1 or on STIR alone; None without one."""
        stored = self.content["calibration" if with_t1 else "calibration_stir_alone"]
        return None if stored is None else Calibration.from_json(stored)

    def named(self, bundle: Bundle) -> dict[str, str]:
        """Return name, version and hash of the bundle with this overlay, as results give them.

        Raises
        ------
        ModelError : the overlay was fitted on another bundle
        """
        base = self.content["base"]
        if base["sha256"] != bundle.sha256:
            raise ModelError(
                f"expected the model {base['name']} {base['version']} that the overlay in {self.folder} was fitted on, "
                f"found {bundle.name} {bundle.version} with another hash; recalibrate this model, or leave the overlay "
                "out of the settings"
            )
        return {
            "name": f"{bundle.name}+{self.content['name']}",
            "version": f"{bundle.version}+{self.content['version']}",
            "sha256": hashlib.sha256(f"{bundle.sha256} {self.content['sha256']}".encode()).hexdigest(),
        }


def overlay_hash(content: dict[str, Any]) -> str:
    """Return the hash of the content of an overlay, its own hash left out."""
    hashed = {name: value for name, value in content.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()
