"""The versions that a result records."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from sparcc_pipeline.app.study.provenance import DEPENDENCIES, installed_versions

PYPROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"


def test_dependencies_are_those_of_the_project_without_extras() -> None:
    required = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]

    assert sorted(DEPENDENCIES) == sorted(re.split("[>=<~!]", name)[0].lower() for name in required)


def test_the_version_of_each_dependency_is_recorded() -> None:
    assert {"python", *DEPENDENCIES} <= installed_versions().keys()
