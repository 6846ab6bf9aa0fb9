"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # As many processes as cores: each with a thread for every core would only stand in the others' way.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        os.environ.setdefault(name, "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images (never part of the repository); the test skips where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("SPARCC_SHARED", beside)) / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real images in {folder} (set SPARCC_SHARED)")
    return folder
