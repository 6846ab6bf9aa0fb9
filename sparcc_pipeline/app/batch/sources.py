"""Find the studies below the sources of a batch, and the sources that must be rejected.

A folder tree is walked once. Results of this program are passed over, so that a batch may write below its source.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sparcc_pipeline.app.study.files import PARTIAL_PREFIX, PARTIAL_SUFFIX
from sparcc_pipeline.app.study.images import is_nifti, require_readable
from sparcc_pipeline.app.study.saved_study import is_score_folder
from sparcc_pipeline.dicom.input.elements import quiet_pydicom
from sparcc_pipeline.dicom.input.files.directory import directory_references, is_directory
from sparcc_pipeline.dicom.input.files.recognition import looks_like_dicom
from sparcc_pipeline.dicom.input.studies import FoundStudy, StudyFinder
from sparcc_pipeline.errors import SparccError, UnreadablePixelsError

HEAD_BYTES: Final = 2**20
"""First bytes that are hashed, beside the size, of a file without a study UID."""

KEY_DIGITS: Final = 16
"""Hexadecimal digits of the key of a study: two of a million studies share one with a chance of 3 in 100 million."""


@dataclass(frozen=True)
class BatchStudy:
    """One study to score.

    Parameters
    ----------
    key : name of its folder, a hash of its UID (of its content if it has none); never of a name
    found : its files; a NIfTI file is one study
    """

    key: str
    found: FoundStudy
    nifti: bool = False

    @property
    def places(self) -> list[Path]:
        """The folders and archives that hold its files; for NIfTI the file itself."""
        if self.nifti:
            return list(self.found.files)
        return sorted({*(file.parent for file in self.found.files), *(archive for archive, _ in self.found.packed)})


@dataclass(frozen=True)
class RefusedSource:
    """An archive or a folder that is not read, and the reason."""

    key: str
    place: Path
    error: SparccError


@dataclass
class FoundSources:
    """Everything below the sources; `other_files` are neither images nor archives of images."""

    studies: list[BatchStudy] = field(default_factory=list)
    refused: list[RefusedSource] = field(default_factory=list)
    other_files: int = 0


def find_sources(sources: Sequence[Path], out: Path) -> FoundSources:
    """Find every study below the sources.

    Parameters
    ----------
    sources : folders, zips, DICOMDIR, DICOM files or NIfTI files
    out : folder of the results, which is not walked

    Raises
    ------
    SeriesNotFoundError : a source is not there or cannot be read
    """
    for source in sources:
        require_readable(source)
    found, finder, nifti = FoundSources(), StudyFinder(), set[Path]()
    with quiet_pydicom():
        for path in (path for source in sources for path in _files_of(source, Path(os.path.realpath(out)), found)):
            if is_nifti(path):
                nifti.add(path)
            else:
                finder.add(path)
    studies = [BatchStudy(_key_of(study), study) for study in finder.studies()]
    studies += [BatchStudy(_content_key([file]), FoundStudy(None, (file,)), nifti=True) for file in sorted(nifti)]
    unique: dict[str, BatchStudy] = {}
    for study in studies:
        unique.setdefault(study.key, study)
    found.studies = list(unique.values())
    found.refused += [RefusedSource(_content_key([each.path]), each.path, each.error) for each in finder.refused]
    found.other_files = finder.not_dicom
    return found


def _files_of(source: Path, out: Path, found: FoundSources) -> Iterator[Path]:
    """Yield the candidate files of one source; a folder that cannot be listed is recorded as refused."""
    if source.is_file():
        listed = looks_like_dicom(source) and is_directory(source)
        yield from directory_references(source) if listed else [source]
        return

    def refuse(error: OSError) -> None:
        place = Path(str(error.filename))
        reason = UnreadablePixelsError(
            f"expected folders that can all be read, found one that cannot ({(error.strerror or '').lower()}); change "
            "its rights or copy it again"
        )
        found.refused.append(RefusedSource(_key("file", os.fsencode(place)), place, reason))

    for parent, folders, names in os.walk(source, onerror=refuse):
        here = Path(parent)
        folders[:] = sorted(name for name in folders if not _is_ours(here / name, out))
        # A pipe or a device is no file: opening one could wait forever.
        yield from (path for name in sorted(names) if (path := here / name).is_file())


def _is_ours(folder: Path, out: Path) -> bool:
    """Return whether a folder holds results of this program, finished or not."""
    partial = folder.name.startswith(PARTIAL_PREFIX) and folder.name.endswith(PARTIAL_SUFFIX)
    return partial or is_score_folder(folder) or Path(os.path.realpath(folder)) == out


def _key_of(study: FoundStudy) -> str:
    if study.study_uid is not None:
        return _key("study", study.study_uid.encode())
    return _content_key(study.files or sorted({archive for archive, _ in study.packed}))


def _content_key(files: Iterable[Path]) -> str:
    """Return a key from size and first bytes of each file, so that it does not depend on names or places."""
    digest = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as opened:
                digest.update(str(file.stat().st_size).encode() + b"\n" + opened.read(HEAD_BYTES))
        except OSError:
            digest.update(b"unreadable " + os.fsencode(file))
    return f"file-{digest.hexdigest()[:KEY_DIGITS]}"


def _key(kind: str, content: bytes) -> str:
    return f"{kind}-{hashlib.sha256(f'sparcc {kind}'.encode() + content).hexdigest()[:KEY_DIGITS]}"
