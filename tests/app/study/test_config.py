"""Settings: the default ones, a user's over them, and faults that name file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparcc_pipeline.app.study.config import load_config
from sparcc_pipeline.errors import ConfigError


def _file(folder: Path, text: str) -> Path:
    file = folder / "mine.toml"
    file.write_text(text)
    return file


def test_the_default_settings_are_valid() -> None:
    config = load_config()

    assert config.engine == "onnx"
    assert config.threads >= 1


def test_a_users_file_changes_only_its_own_keys(tmp_path: Path) -> None:
    config = load_config(_file(tmp_path, "threads = 7\n"))

    assert (config.engine, config.threads) == (load_config().engine, 7)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("thread = 2\n", "'thread'"),
        ("threads = 0\n", "'threads'"),
        ('threads = "2"\n', "'threads'"),
        ('engine = "tensorflow"\n', "'engine'"),
        ("[engine]\nname = 1\n", "'engine'"),
        ("threads = \n", "line 1"),
    ],
)
def test_a_fault_names_file_and_key(tmp_path: Path, text: str, named: str) -> None:
    file = _file(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        load_config(file)

    assert str(file) in str(caught.value)
    assert named in str(caught.value)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")

    for file in (tmp_path / "none.toml", binary, tmp_path):
        with pytest.raises(ConfigError, match="no readable text file"):
            load_config(file)
