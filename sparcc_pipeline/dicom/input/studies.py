"""Any number of files and archives -> the studies among them, told apart by StudyInstanceUID.

Of a file that is no DICOM only the first bytes are read; of a DICOM file its header up to the study's UID. What is
found here is a list of places: `discover` looks at each study as a whole, later and elsewhere.
"""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, cast

from pydicom.filereader import read_partial
from pydicom.tag import Tag

from sparcc_pipeline.dicom.guard.sizes import require_inflatable
from sparcc_pipeline.dicom.input.directory import is_directory
from sparcc_pipeline.dicom.input.elements import PARSE_ERRORS, START_BYTES, quiet_pydicom, starts_like_dicom, text_of
from sparcc_pipeline.dicom.input.source import archive_files, temporary_folder, unpack
from sparcc_pipeline.errors import SparccError

_STUDY_UID: Final = "StudyInstanceUID"
_STUDY_UID_TAG: Final = Tag(_STUDY_UID)

_ZIP_START: Final = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True)
class FoundStudy:
    """Where the files of one study lie.

    Parameters
    ----------
    study_uid : StudyInstanceUID; None for damaged files beside which no study lies
    files : in folders; with the damaged files that lie beside them
    packed : in archives: (archive, number of an entry as `source.archive_files` counts them)
    """

    study_uid: str | None
    files: tuple[Path, ...]
    packed: tuple[tuple[Path, int], ...] = ()


@dataclass(frozen=True)
class RefusedArchive:
    """An archive that is not unpacked, and why."""

    path: Path
    error: SparccError


@dataclass
class _Place:
    """One folder, or one archive: which of its files belong to which study, and which cannot be read."""

    studies: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    damaged: list[Any] = field(default_factory=list)


class StudyFinder:
    """Told one file after the other; says in the end which studies they are.

    A damaged file says of no study that it belongs to it. It counts as one of each study that lies in its folder (or
    archive), so that the score of none of them is given without a warning.
    """

    def __init__(self) -> None:
        self._folders: dict[Path, _Place] = defaultdict(_Place)
        self._archives: dict[Path, _Place] = {}
        self.refused: list[RefusedArchive] = []
        self.not_dicom = 0

    def add(self, path: Path) -> None:
        """Look at one file: an image, an archive, or neither; one that does not exist is damaged."""
        try:
            with path.open("rb") as opened:
                start = opened.read(START_BYTES)
                if starts_like_dicom(start):
                    opened.seek(0)
                    uid = _study_uid(opened)
                    place = self._folders[path.parent]
                elif start[:4] in _ZIP_START or path.suffix.lower() == ".zip":
                    self._add_archive(path)
                    return
                else:
                    self.not_dicom += 1
                    return
        except OSError:
            self._folders[path.parent].damaged.append(path)
            return
        if uid:
            place.studies[uid].append(path)
        elif not is_directory(path):
            place.damaged.append(path)

    def studies(self) -> Iterator[FoundStudy]:
        """Every study by UID, its files in order; then the places that hold only damaged files."""
        files: dict[str, set[Path]] = defaultdict(set)
        packed: dict[str, set[tuple[Path, int]]] = defaultdict(set)
        lost: list[FoundStudy] = []
        for _, folder in sorted(self._folders.items()):
            for uid, paths in folder.studies.items():
                files[uid].update(paths, folder.damaged)
            if folder.damaged and not folder.studies:
                lost.append(FoundStudy(None, tuple(sorted(folder.damaged))))
        for path, archive in sorted(self._archives.items()):
            for uid, numbers in archive.studies.items():
                packed[uid].update((path, number) for number in (*numbers, *archive.damaged))
            if archive.damaged and not archive.studies:
                lost.append(FoundStudy(None, (), tuple((path, number) for number in archive.damaged)))
        for uid in sorted({*files, *packed}):
            yield FoundStudy(uid, tuple(sorted(files[uid])), tuple(sorted(packed[uid])))
        yield from lost

    def _add_archive(self, path: Path) -> None:
        """Look into a zip without unpacking it; one that merely begins like a zip is no archive of images."""
        if path.suffix.lower() != ".zip" and not zipfile.is_zipfile(path):
            self.not_dicom += 1
            return
        place = _Place()
        try:
            with temporary_folder() as folder, archive_files(path, Path(folder)) as (opened, entries):
                for number, entry in enumerate(entries):
                    self._add_entry(place, number, opened, entry)
        except SparccError as error:
            self.refused.append(RefusedArchive(path, error))
            return
        if place.studies or place.damaged:
            self._archives[path] = place

    def _add_entry(self, place: _Place, number: int, opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
        with opened.open(entry) as packed:
            start = packed.read(START_BYTES)
            if not starts_like_dicom(start):
                self.not_dicom += 1
                return
        with opened.open(entry) as packed:
            uid = _study_uid(packed)
        if uid:
            place.studies[uid].append(number)
        elif Path(entry.filename).name.upper() != "DICOMDIR":
            place.damaged.append(number)


def find_studies(files: Iterable[Path]) -> StudyFinder:
    """Look at all these files."""
    finder = StudyFinder()
    for path in files:
        finder.add(path)
    return finder


@contextmanager
def study_files(study: FoundStudy) -> Iterator[list[Path]]:
    """The files of one study; those in archives are unpacked for as long as the context lasts.

    Raises
    ------
    UnsafeArchiveError, UnreadablePixelsError, OutputError : see `source.open_source`
    """
    if not study.packed:
        yield list(study.files)
        return
    with temporary_folder() as folder:
        files = list(study.files)
        for index, archive in enumerate(sorted({path for path, _ in study.packed})):
            unpacked = Path(folder) / str(index)
            unpacked.mkdir()
            unpack(archive, unpacked, {number for path, number in study.packed if path == archive})
            files += sorted(path for path in unpacked.rglob("*") if path.is_file())
        yield files


def _study_uid(opened: IO[bytes]) -> str:
    """StudyInstanceUID of an open DICOM file; empty where it has none or is damaged before it."""

    def beyond(tag: Any, vr: str | None, length: int) -> bool:
        return bool(tag > _STUDY_UID_TAG)

    try:
        with quiet_pydicom():
            require_inflatable(opened)
            ds = read_partial(cast(BinaryIO, opened), beyond, force=True, specific_tags=[_STUDY_UID_TAG])
            return text_of(ds, _STUDY_UID)
    except PARSE_ERRORS:
        return ""
