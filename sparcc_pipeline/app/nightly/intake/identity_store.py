"""The identity store: one folder with the key, the identity map, and files as sites sent them.

`IdentityStore.open` is the only way in, and only intake calls it. Without access to the folder, a de-identified image
does not lead to a person.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from sparcc_pipeline.app.nightly.intake.identity_map import IdentityMap
from sparcc_pipeline.app.study.secret_key import open_secret_key
from sparcc_pipeline.errors import ConfigError, OutputError

KEY_FILE: Final = "key"
LOCK_FILE: Final = "lock"
MAP_FILE: Final = "identity.sqlite"
INCOMING: Final = "incoming"
PARTIAL: Final = ".partial"


@dataclass(frozen=True)
class IdentityStore:
    """An open identity folder."""

    folder: Path
    key: bytes = field(repr=False)
    identities: IdentityMap

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the identity folder; create it with its key if it is missing.

        Raises
        ------
        ConfigError : other users may enter the folder or read the key; the key is missing or damaged
        OutputError : the folder cannot be created or written
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _require_private(folder, 0o700)
            key = _read_key(folder / KEY_FILE, may_make=not (folder / MAP_FILE).exists())
        except OSError as error:
            raise OutputError(
                f"expected an identity folder that can be written at {folder}, found it not usable "
                f"({(error.strerror or '').lower()}); change its owner or paths.identity_folder"
            ) from error
        identities = IdentityMap(folder / MAP_FILE)
        return cls(folder, key, identities)

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Yield True if this process holds the lock of the intake while the context lasts.

        The lock of a killed process is free.
        """
        descriptor = os.open(self.folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)

    def incoming(self, site: str) -> Path:
        """Return the folder of a site's uploads, one folder for each; create it if absent."""
        return incoming_folder(self.folder, site)


def incoming_folder(identity_folder: Path, site: str) -> Path:
    """Return the folder of a site's uploads below the identity folder; create it if absent.

    Raises
    ------
    OutputError : the folder cannot be created
    """
    folder = identity_folder / INCOMING / site
    try:
        # One after the other: `mkdir` sets the mode of the last folder only.
        for each in (identity_folder, identity_folder / INCOMING, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"expected to create {folder}, found that impossible ({(error.strerror or '').lower()}); change its owner"
        ) from error
    return folder


def _require_private(path: Path, mode: int) -> None:
    found = stat.S_IMODE(path.stat().st_mode)
    if found & 0o077:
        raise ConfigError(
            f"expected {path} for its owner only (mode {mode:o}), found {found:o}, with which others may learn who "
            f"the participants are; run chmod {mode:o} on it"
        )


def _read_key(file: Path, *, may_make: bool) -> bytes:
    """Return the key, created once: with another key, later images would not match their participants."""
    if not file.exists() and not may_make:
        raise ConfigError(
            f"expected the key at {file}, found an identity map without it; put the key back from a copy: with a new "
            "one follow-ups would not fit their baselines"
        )
    key, _ = open_secret_key(file)
    _require_private(file, 0o600)
    return key
