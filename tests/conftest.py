"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images (never part of the repository); the test skips where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("SPARCC_SHARED", beside)) / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real images in {folder} (set SPARCC_SHARED)")
    return folder
