"""Write the images of one association to disk; each is synced and renamed before it is acknowledged."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sparcc_pipeline.dicom.guard.child import run_guarded
from sparcc_pipeline.dicom.input.elements import is_whole
from sparcc_pipeline.errors import FileFaultError, OutputError

PARTIAL: Final = ".partial"
FREE_BYTES: Final = 2**30
"""With less free space no image is accepted, because the database on the same disk must be able to write."""


@dataclass
class Reception:
    """The images of one association.

    Parameters
    ----------
    folder : ends with `PARTIAL`; created with the first image
    since_store : bytes received of the current message
    lock : hold it to write or to finish
    """

    title: str
    folder: Path
    count: int = 0
    size: int = 0
    since_store: int = 0
    ended: bool = False
    reported: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, content: bytes) -> None:
        """Write one image under a number: a name from the sender could lead out of the folder.

        Raises
        ------
        OSError : no space, or no permission
        """
        if self.count == 0:
            # It exists if the first image could not be written.
            self.folder.mkdir(mode=0o700, exist_ok=True)
            _sync(self.folder.parent)
        if _free_bytes(self.folder) < FREE_BYTES + len(content):
            raise OSError("too little room on the disk")
        name = f"{self.count + 1:06d}.dcm"
        partial = self.folder / (name + PARTIAL)
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            partial.rename(self.folder / name)
            # A power cut could otherwise lose the new name after the sender deleted its copy.
            _sync(self.folder)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        self.count, self.size = self.count + 1, self.size + len(content)

    def finish(self) -> Path | None:
        """Give the folder its final name; return None if nothing came."""
        if self.count:
            return publish(self.folder)
        with suppress(OSError):
            self.folder.rmdir()
        return None


def left_over(folder: Path, prefix: str) -> list[Path]:
    """Return the receptions of a killed node: they hold acknowledged images."""
    return [partial for partial in sorted(folder.glob(f"{prefix}*{PARTIAL}")) if any(partial.glob("*.dcm"))]


def publish(partial: Path) -> Path:
    """Rename a folder of acknowledged images to its final name.

    An unfinished file is kept if it is whole: a power cut may have undone only its rename.

    Raises
    ------
    OutputError : it cannot be renamed
    """
    final = partial.with_name(partial.name.removesuffix(PARTIAL))
    try:
        for unfinished in partial.glob(f"*{PARTIAL}"):
            _settle(unfinished)
        _sync(partial)
        partial.rename(final)
        _sync(final.parent)
    except OSError as error:
        raise OutputError(
            f"expected to finish the reception {partial.name}, found an error ({(error.strerror or '').lower()}); free "
            "space or change its owner: the next start finishes it"
        ) from error
    return final


def _settle(unfinished: Path) -> None:
    """Give a whole image its name; delete an incomplete one, which was never acknowledged."""
    name = unfinished.with_name(unfinished.name.removesuffix(PARTIAL))
    try:
        whole = not name.exists() and run_guarded(is_whole, unfinished)
    except FileFaultError:
        whole = False
    if whole:
        unfinished.rename(name)
    else:
        unfinished.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
