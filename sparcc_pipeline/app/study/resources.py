"""The model bundles and default settings of the installation.

A wheel carries the repository's `models/` and `configs/` as `_models` and `_configs` inside the package; an editable
installation uses those of the checkout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sparcc_pipeline.errors import ConfigError, ModelError

_PACKAGE: Final = Path(__file__).resolve().parents[2]

BUNDLE_NAME: Final = "sparcc_stir"
"""Folder of the model bundle that scores a study."""

BUNDLE_METADATA: Final = Path("configs") / "metadata.json"
"""The file that marks a folder as a MONAI bundle."""


def model_bundle() -> Path:
    """Return the folder of the installed model bundle.

    Raises
    ------
    ModelError : the installation has none
    """
    folders = (_PACKAGE / "_models" / BUNDLE_NAME, _PACKAGE.parent / "models" / BUNDLE_NAME)
    for folder in folders:
        if (folder / BUNDLE_METADATA).is_file():
            return folder
    raise ModelError(
        f"expected the model bundle {BUNDLE_NAME!r} with {BUNDLE_METADATA}, found none in {folders[0].parent} or "
        f"{folders[1].parent}; install the package again, or train the model with `sparcc model train`"
    )


def default_settings_file() -> Path:
    """Return the path of `pipeline.toml` of the installation.

    Raises
    ------
    ConfigError : the installation has none
    """
    return config_file(Path("pipeline.toml"))


def codes_file() -> Path:
    """Return the path of `codes.toml` of the installation: the codes of the DICOM results.

    Raises
    ------
    ConfigError : the installation has none
    """
    return config_file(Path("codes.toml"))


def config_file(name: Path) -> Path:
    """Return the path of a file of `configs/` of the installation.

    Raises
    ------
    ConfigError : the installation has none
    """
    files = (_PACKAGE / "_configs" / name, _PACKAGE.parent / "configs" / name)
    for file in files:
        if file.is_file():
            return file
    raise ConfigError(f"expected {name} at {files[0]} or {files[1]}, found none; install the package again")
