"""The store of a reading page: pixels and geometry under random names, with the machine's results in another folder.

Contents: `PictureStore`, `as_uint16`. Files are written once, without a date or a name; their SHA-256 are in the trail.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.app.reader.readings.views import ImagesView, MachineResult
from sparcc_pipeline.app.study.files import write_bytes
from sparcc_pipeline.errors import OutputError
from sparcc_pipeline.volume import BoolArray

IMAGES: Final = "images"
MACHINE: Final = "machine"
VIEW_FILE: Final = "view.json"
RESULT_FILE: Final = "result.json"
STIR_NAME: Final = "stir"
T1_NAME: Final = "t1"
OVERLAY_NAME: Final = "overlay"
BONES_FILE: Final = "bones.npz"

_LARGEST: Final = 65535


class PictureStore:
    """Images and results of one reading page, below its store folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put_images(self, view: ImagesView, stir: NDArray[Any], t1: NDArray[Any] | None) -> tuple[str, dict[str, str]]:
        """Store one time point, uint16 arrays (slices, rows, columns); return its random name and file digests."""
        files = {VIEW_FILE: view.model_dump_json().encode(), **_slices(STIR_NAME, stir.astype("<u2"))}
        if t1 is not None:
            files |= _slices(T1_NAME, t1.astype("<u2"))
        return self._put(IMAGES, files)

    def put_machine(
        self, result: MachineResult, overlay: NDArray[np.uint8] | None, bones: BoolArray | None = None
    ) -> tuple[str, dict[str, str]]:
        """Store the machine's result, its overlay (edema probability x 255) and its bones, (slices, rows, columns)."""
        files = {RESULT_FILE: result.model_dump_json().encode()}
        if overlay is not None:
            files |= _slices(OVERLAY_NAME, overlay)
        if bones is not None:
            files[BONES_FILE] = _bones_bytes(bones)
        return self._put(MACHINE, files)

    def view(self, name: str) -> ImagesView:
        """Return the image view of a stored time point."""
        return ImagesView.model_validate_json(self._read(IMAGES, name, VIEW_FILE))

    def result(self, name: str) -> MachineResult:
        """Return the machine's result of a stored time point."""
        return MachineResult.model_validate_json(self._read(MACHINE, name, RESULT_FILE))

    def image(self, name: str, series: str, slice_index: int) -> bytes | None:
        """Return one slice, gzip of uint16 little-endian; None if there is no such slice."""
        return self._slice(IMAGES, name, series, slice_index)

    def overlay(self, name: str, slice_index: int) -> bytes | None:
        """Return the probability of edema on one slice, gzip of uint8; None if there is none."""
        return self._slice(MACHINE, name, OVERLAY_NAME, slice_index)

    def bones(self, name: str | None) -> BoolArray | None:
        """Return the bones of a scored time point, (slices, rows, columns) bool; None if there are none."""
        if name is None or not (self._folder / MACHINE / name / BONES_FILE).is_file():
            return None
        with np.load(io.BytesIO(self._read(MACHINE, name, BONES_FILE)), allow_pickle=False) as stored:
            shape = tuple(stored["shape"].tolist())
            return np.unpackbits(stored["bones"], count=int(np.prod(shape))).reshape(shape).astype(bool)

    def digests(self, part: str, name: str) -> dict[str, str]:
        """Return the SHA-256 of every file of a folder; empty if the folder is missing."""
        folder = self._folder / part / name
        return {
            f"{part}/{file.relative_to(folder).as_posix()}": hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }

    def remove(self, part: str, name: str) -> None:
        """Delete a folder after its import failed."""
        shutil.rmtree(self._folder / part / name, ignore_errors=True)

    def _put(self, part: str, files: Mapping[str, bytes]) -> tuple[str, dict[str, str]]:
        name = secrets.token_hex(16)
        folder = self._folder / part / name
        try:
            folder.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise OutputError(
                f"expected a store folder that can be written, found {self._folder} not usable; change its rights"
            ) from error
        for file, content in files.items():
            write_bytes(folder / file, content)
        return name, self.digests(part, name)

    def _read(self, part: str, name: str, file: str) -> bytes:
        try:
            return (self._folder / part / name / file).read_bytes()
        except OSError as error:
            raise OutputError(
                "expected the images of a case in the store, found unreadable files; restore the store from a backup"
            ) from error

    def _slice(self, part: str, name: str, series: str, slice_index: int) -> bytes | None:
        try:
            return (self._folder / part / name / series / f"{slice_index:04d}.gz").read_bytes()
        except FileNotFoundError:
            return None


def _bones_bytes(bones: BoolArray) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, bones=np.packbits(bones), shape=np.array(bones.shape))
    return content.getvalue()


def _slices(name: str, stack: NDArray[Any]) -> dict[str, bytes]:
    # mtime=0: no file holds its time.
    return {
        f"{name}{os.sep}{index:04d}.gz": gzip.compress(np.ascontiguousarray(pixels).tobytes(), 6, mtime=0)
        for index, pixels in enumerate(stack)
    }


def as_uint16(signal: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return the signal as uint16: unchanged if that loses nothing, else stretched over all 16 bits."""
    low, high = float(signal.min()), float(signal.max())
    if low >= 0 and high <= _LARGEST and np.array_equal(signal, np.rint(signal)):
        return signal.astype(np.uint16)
    scale = _LARGEST / (high - low) if high > low else 1.0
    return np.asarray(np.rint((signal - low) * scale), dtype=np.uint16)
