"""The provenance of a result: software, model, settings, input."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field

from sparcc_pipeline import __version__
from sparcc_pipeline.app.study.clock import utc_text
from sparcc_pipeline.app.study.config import PipelineConfig
from sparcc_pipeline.app.study.images import Request
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
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Run:
    """One call of the program: its settings, its request, and its time (UTC)."""

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
        """The hash of `scoring_settings`."""
        return hashlib.sha256(json.dumps(self.scoring_settings, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class SoftwareRef:
    """This program."""

    name: str
    version: str


@dataclass(frozen=True)
class ModelRef:
    """The model bundle, and the engine that ran it."""

    name: str
    version: str
    sha256: str
    engine: str

    @classmethod
    def of(cls, model: Mapping[str, str]) -> ModelRef:
        """Return the model of a segmenter's provenance."""
        return cls(model["name"], model["version"], model["sha256"], model["engine"])


@dataclass(frozen=True)
class InputRef:
    """The images that were read, without their path, which may hold the name of a patient."""

    files: Annotated[int, Field(ge=1)]
    sha256: Sha256


@dataclass(frozen=True)
class Provenance:
    """The `provenance` object of a result; `model` and `input` are None where they were not needed or not read."""

    software: SoftwareRef
    model: Annotated[ModelRef | None, Field(description="null where no model was needed.")]
    settings_sha256: Annotated[Sha256, Field(description="Hash of the settings that can change a score.")]
    input: Annotated[InputRef | None, Field(description="null where no series could be read.")]
    created_at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", description="UTC.")]
    research_use_only: Literal[True]


def input_ref(volume: Volume, files: int) -> InputRef:
    """Return the number of files, and a hash that does not depend on how the files store or order the slices.

    The hash covers the sorted SOP Instance UIDs, the shape and the signal (float32, little-endian, (slices, rows,
    columns)).
    """
    digest = hashlib.sha256()
    digest.update("\n".join(sorted(volume.series.sop_instance_uids)).encode())
    digest.update(str(volume.geometry.shape).encode())
    digest.update(np.ascontiguousarray(volume.signal, dtype="<f4").tobytes())
    return InputRef(files, digest.hexdigest())


def provenance(run: Run, model: Mapping[str, str] | None, source: InputRef | None) -> Provenance:
    """Return where a result of this run comes from."""
    return Provenance(
        software=SoftwareRef(PACKAGE, __version__),
        model=None if model is None else ModelRef.of(model),
        settings_sha256=run.settings_sha256,
        input=source,
        created_at=utc_text(run.created_at),
        research_use_only=True,
    )


def installed_versions(names: tuple[str, ...] = (*DEPENDENCIES, *FAST_ENGINE, *REFERENCE_ENGINE)) -> dict[str, str]:
    """Return the versions of Python and of the installed distributions among `names`."""
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
