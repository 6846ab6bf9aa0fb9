"""A secret key in a file of its own."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from sparcc_pipeline.errors import ConfigError

KEY_BYTES: Final = 32


def open_secret_key(file: Path) -> tuple[bytes, bool]:
    """Return the key of a file, and True if it was created now.

    Raises
    ------
    ConfigError : the file does not hold a key
    """
    fresh = not file.exists()
    if fresh:
        _create_key(file)
    key = file.read_bytes()
    if len(key) != KEY_BYTES:
        raise ConfigError(f"expected a key of {KEY_BYTES} bytes at {file}, found {len(key)}; put back a copy of it")
    return key, fresh


def _create_key(file: Path) -> None:
    """Write a key beside its place and link it, so that one key remains if two programs start at once."""
    partial = file.with_name(f".{file.name}-{secrets.token_hex(4)}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(KEY_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(partial, file)
    except FileExistsError:
        pass
    finally:
        partial.unlink()
