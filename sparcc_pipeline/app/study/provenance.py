"""Where a result comes from: software, model, settings, input."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib import metadata
from typing import Final

import numpy as np

from sparcc_pipeline import __version__
from sparcc_pipeline.app.study.config import PipelineConfig
from sparcc_pipeline.app.study.score import Request
from sparcc_pipeline.volume import Volume

PACKAGE: Final = "sparcc-pipeline"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""The name at the beginning of a requirement."""


def _core_dependencies() -> tuple[str, ...]:
    """Names of the distributions that the core install requires; none for a checkout that is not installed."""
    try:
        requirements = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return ()
    core = [requirement for requirement in requirements if "extra ==" not in requirement]
    return tuple(match[0].lower() for requirement in core if (match := _NAME.match(requirement)))


DEPENDENCIES: Final = _core_dependencies()
"""Distributions of the core install."""

REFERENCE_ENGINE: Final = ("torch", "monai")
"""Distributions of the extra `train`."""

FAST_ENGINE: Final = ("openvino",)
"""Distribution of the extra `fast`."""

SettingValue = str | bool | list[int] | None


@dataclass(frozen=True)
class Run:
    """One call of the program: its settings, what was asked for, and when (UTC)."""

    config: PipelineConfig
    request: Request
    created_at: datetime

    @property
    def scoring_settings(self) -> dict[str, SettingValue]:
        """The settings that can change a score (the number of threads cannot)."""
        slices = self.request.slices
        return {
            "engine": self.config.engine,
            "slices": None if slices is None else list(slices),
            "series_uid": self.request.series_uid,
            "accept_fat_suppressed": self.request.accept_fat_suppressed,
        }

    @property
    def settings_sha256(self) -> str:
        """Hash of `scoring_settings`."""
        return hashlib.sha256(json.dumps(self.scoring_settings, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class InputRef:
    """The images that were read, without their place: a path may hold a patient's name."""

    files: int
    sha256: str


def input_ref(volume: Volume, files: int) -> InputRef:
    """Number of files, and a hash that does not depend on how the files store or order the slices.

    The hash goes over the sorted SOP Instance UIDs, the shape and the signal (float32, little-endian, in the
    project's axes).
    """
    digest = hashlib.sha256()
    digest.update("\n".join(sorted(volume.series.sop_instance_uids)).encode())
    digest.update(str(volume.geometry.shape).encode())
    digest.update(np.ascontiguousarray(volume.signal, dtype="<f4").tobytes())
    return InputRef(files, digest.hexdigest())


def provenance(run: Run, model: Mapping[str, str] | None, source: InputRef | None) -> dict[str, object]:
    """The `provenance` object of `score.json`; model and input are null where they were not reached."""
    return {
        "software": {"name": PACKAGE, "version": __version__},
        "model": None if model is None else dict(model),
        "settings_sha256": run.settings_sha256,
        "input": None if source is None else asdict(source),
        "created_at": run.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "research_use_only": True,
    }


def installed_versions(names: tuple[str, ...] = (*DEPENDENCIES, *FAST_ENGINE, *REFERENCE_ENGINE)) -> dict[str, str]:
    """Versions of Python and of those distributions that are installed."""
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
