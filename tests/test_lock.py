"""requirements.lock fits pyproject.toml: each package of the installation has one version that fits, with hashes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY: Final = Path(__file__).resolve().parents[1]
PROJECT: Final = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PYTHONS: Final = ("3.11", "3.12", "3.13")
_PIN: Final = re.compile(
    r"^(\S+)==(\S+?)(?: ; ([^\\]+?))? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n?)+)", re.MULTILINE
)


def pins(text: str, python: str) -> dict[str, str]:
    """Return the version of each package for Linux and a version of Python."""
    there = {"python_full_version": f"{python}.0", "python_version": python, "sys_platform": "linux"}
    there |= {"platform_system": "Linux", "implementation_name": "cpython", "platform_python_implementation": "CPython"}
    found = (match.groups() for match in _PIN.finditer(text))
    return {
        canonicalize_name(name.split("[")[0]): version
        for name, version, marker, _ in found
        if marker is None or Marker(marker).evaluate(there)
    }


def faults(text: str, python: str) -> list[str]:
    """Return the packages of the installation that the file lacks, or has in a version that does not fit."""
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [
        *PROJECT["project"]["dependencies"],
        *extras["web"],
        *extras["postgres"],
        *PROJECT["build-system"]["requires"],
    ]
    locked = pins(text, python)
    found = []
    for each in map(Requirement, wanted):
        version = locked.get(canonicalize_name(each.name))
        if version is None or not each.specifier.contains(version):
            found.append(f"expected {each} in requirements.lock, found {version}; run scripts/lock")
    return found


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_file_fits_the_project(python: str) -> None:
    assert faults((REPOSITORY / "requirements.lock").read_text(), python) == []


def test_every_line_of_the_lock_file_is_a_version_with_hashes() -> None:
    text = (REPOSITORY / "requirements.lock").read_text()
    rest = _PIN.sub("", text)
    assert [line for line in rest.splitlines() if line and not line.startswith("#")] == []


def test_a_missing_and_an_old_package_are_found() -> None:
    text = (REPOSITORY / "requirements.lock").read_text()
    assert faults(text.replace("\npydicom==", "\nother=="), "3.11")
    assert faults(re.sub(r"\npydicom==\S+", "\npydicom==2.4.0", text), "3.11")


def test_scripts_and_container_install_from_it() -> None:
    for name in ("scripts/environment.sh", "Dockerfile"):
        assert "--require-hashes --requirement requirements.lock" in (REPOSITORY / name).read_text(), name
