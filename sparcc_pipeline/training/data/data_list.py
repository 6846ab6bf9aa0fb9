"""List the files that a model learns from and is measured on, with their hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

FOLDERS: Final = (
    "sij_mri/stir",
    "sij_mri/t1w",
    "sij_mri/bone",
    "sij_mri/lesions",
    "sij_mri/joint_lines",
    "sij_mri/t1w_only",
    "sij_mri/t1w_more",
    "semicoronal_bones",
    "pelvic_t1",
)
"""Folders that a training reads."""


def data_hashes(data: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of FOLDERS by its path within `data`, in order of path."""
    files = sorted(path for folder in FOLDERS for path in (data / folder).glob("*") if path.is_file())
    return {path.relative_to(data).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
