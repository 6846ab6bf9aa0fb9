"""Any number of files and archives -> the studies among them, separated by StudyInstanceUID.

Of a file that is no DICOM only the first bytes are read, of a DICOM file its header up to the frame of reference. The
result is a list of places: `discover` looks at each study as a whole, later and elsewhere.
"""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, cast

from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag

from sparcc_pipeline.dicom.guard.sizes import require_inflatable
from sparcc_pipeline.dicom.input.elements import PARSE_ERRORS, quiet_pydicom, text_of
from sparcc_pipeline.dicom.input.files.archive import archive_files, temporary_folder, unpack
from sparcc_pipeline.dicom.input.files.directory import is_directory
from sparcc_pipeline.dicom.input.files.other_files import possible_image
from sparcc_pipeline.dicom.input.files.recognition import START_BYTES, starts_like_dicom
from sparcc_pipeline.dicom.input.headers import read_open_header
from sparcc_pipeline.dicom.input.source import is_archive, with_unpacked
from sparcc_pipeline.errors import SparccError
from sparcc_pipeline.orientation import MIN_SLICES

_STUDY_UID: Final = "StudyInstanceUID"
_FRAME_UID: Final = "FrameOfReferenceUID"
_TAGS: Final[list[BaseTag | int]] = [Tag(_STUDY_UID), Tag(_FRAME_UID)]

_DIRECTORY_NAME: Final = "DICOMDIR"


@dataclass(frozen=True)
class FoundStudy:
    """The places of the files of one study.

    Parameters
    ----------
    study_uid : StudyInstanceUID; None for unreadable files beside which there is no study
    files : in folders; with the unreadable files beside them, and the DICOMDIR above them
    packed : in archives: (archive, number of an entry as `archive.archive_files` counts them)
    """

    study_uid: str | None
    files: tuple[Path, ...]
    packed: tuple[tuple[Path, int], ...] = ()


@dataclass(frozen=True)
class RefusedArchive:
    """An archive that is not unpacked, and the reason."""

    path: Path
    error: SparccError


@dataclass
class _Place:
    """One folder, or one archive: its files by study, those that cannot be read, and its DICOMDIR."""

    studies: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    unreadable: list[Any] = field(default_factory=list)
    directories: list[Any] = field(default_factory=list)


def examinations(frames: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """Return, for each study UID, the UID of the study that it belongs to: mostly itself.

    Some archives give every slice a StudyInstanceUID of its own (heudiconv issue 144). Studies of fewer than six images
    in one frame of reference, which belongs to one examination, are one study.

    Parameters
    ----------
    frames : number of images by study UID and FrameOfReferenceUID
    """
    small: dict[str, list[str]] = defaultdict(list)
    for study, counts in frames.items():
        if len(counts) == 1 and "" not in counts and sum(counts.values()) < MIN_SLICES:
            small[next(iter(counts))].append(study)
    whole = {study: min(studies) for studies in small.values() for study in studies}
    return {study: whole.get(study, study) for study in frames}


class StudyFinder:
    """Takes one file after the other; returns in the end the studies that they belong to.

    An unreadable file belongs to no study by itself. It counts as one of each study in its folder (or archive), so that
    the score of none of them comes without a warning.
    """

    def __init__(self) -> None:
        self._folders: dict[Path, _Place] = defaultdict(_Place)
        self._archives: dict[Path, _Place] = {}
        self._frames: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.refused: list[RefusedArchive] = []
        self.not_dicom = 0

    def add(self, path: Path) -> None:
        """Look at one file: an image, an archive, or neither; one that does not exist is unreadable."""
        place = self._folders[path.parent]
        try:
            with path.open("rb") as opened:
                start = opened.read(START_BYTES)
                if starts_like_dicom(start):
                    opened.seek(0)
                    uid = self._study_uid(path, opened)
                elif is_archive(path) or path.suffix.lower() == ".zip":
                    self._add_archive(path)
                    return
                else:
                    self._add_other(path, start, place, path)
                    return
        except OSError:
            place.unreadable.append(path)
            return
        if uid:
            place.studies[uid].append(path)
        elif is_directory(path):
            place.directories.append(path)
        else:
            place.unreadable.append(path)

    def studies(self) -> Iterator[FoundStudy]:
        """Yield every study by UID, its files in order; then the places that hold only unreadable files."""
        files: dict[str, set[Path]] = defaultdict(set)
        packed: dict[str, set[tuple[Path, int]]] = defaultdict(set)
        lost: list[FoundStudy] = []
        whole = examinations(self._frames)
        for folder, place in sorted(self._folders.items()):
            above = [path for up in (folder, *folder.parents) for path in self._directories_in(up)]
            for uid, paths in place.studies.items():
                files[whole[uid]].update(paths, place.unreadable, above)
            if place.unreadable and not place.studies:
                lost.append(FoundStudy(None, tuple(sorted(place.unreadable))))
        for path, archive in sorted(self._archives.items()):
            beside = (*archive.unreadable, *archive.directories)
            for uid, numbers in archive.studies.items():
                packed[whole[uid]].update((path, number) for number in (*numbers, *beside))
            if archive.unreadable and not archive.studies:
                lost.append(FoundStudy(None, (), tuple((path, number) for number in archive.unreadable)))
        for uid in sorted({*files, *packed}):
            yield FoundStudy(uid, tuple(sorted(files[uid])), tuple(sorted(packed[uid])))
        yield from lost

    def _directories_in(self, folder: Path) -> list[Path]:
        place = self._folders.get(folder)
        return [] if place is None else place.directories

    def _add_other(self, path: Path, start: bytes, place: _Place, member: Any) -> None:
        """Note a file that is no DICOM, in `place` as `member`."""
        if possible_image(path, start) is None:
            self.not_dicom += 1
        else:
            place.unreadable.append(member)

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
        if place.studies or place.unreadable:
            self._archives[path] = place

    def _add_entry(self, place: _Place, number: int, opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
        name = Path(entry.filename)
        with opened.open(entry) as packed:
            start = packed.read(START_BYTES)
        if not starts_like_dicom(start):
            self._add_other(name, start, place, number)
            return
        with opened.open(entry) as packed:
            uid = self._study_uid(name, packed)
        if uid:
            place.studies[uid].append(number)
        elif name.name.upper() == _DIRECTORY_NAME:
            place.directories.append(number)
        else:
            place.unreadable.append(number)

    def _study_uid(self, path: Path, opened: IO[bytes]) -> str:
        """Return the study UID of an open DICOM file; empty if it is damaged. Count its frame of reference."""
        uid, frame = _study_and_frame(opened)
        if not uid:
            # A file without study UID may be whole: its study is derived from the rest of its header.
            try:
                opened.seek(0)
                header = read_open_header(path, cast(BinaryIO, opened))
            except PARSE_ERRORS:
                return ""
            uid, frame = header.study_uid, header.frame_of_reference_uid or ""
        self._frames[uid][frame] += 1
        return uid


def find_studies(files: Iterable[Path]) -> StudyFinder:
    """Look at all these files."""
    finder = StudyFinder()
    with quiet_pydicom():
        for path in files:
            finder.add(path)
    return finder


@contextmanager
def study_files(study: FoundStudy) -> Iterator[list[Path]]:
    """Yield the files of one study; those in archives are unpacked for as long as the context lasts.

    Raises
    ------
    UnsafeArchiveError, UnreadablePixelsError, OutputError : see `source.open_source`
    """
    if not study.packed:
        yield list(study.files)
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(temporary_folder()))
        files = list(study.files)
        for index, archive in enumerate(sorted({path for path, _ in study.packed})):
            unpacked = folder / str(index)
            unpacked.mkdir()
            unpack(archive, unpacked, {number for path, number in study.packed if path == archive})
            files += with_unpacked(sorted(path for path in unpacked.rglob("*") if path.is_file()), stack, 1)
        yield files


def _study_and_frame(opened: IO[bytes]) -> tuple[str, str]:
    """Return StudyInstanceUID and FrameOfReferenceUID of an open DICOM file; empty if absent or damaged before them."""

    def beyond(tag: Any, vr: str | None, length: int) -> bool:
        return bool(tag > _TAGS[-1])

    try:
        with quiet_pydicom():
            require_inflatable(opened)
            ds = read_partial(cast(BinaryIO, opened), beyond, force=True, specific_tags=_TAGS)
            return text_of(ds, _STUDY_UID), text_of(ds, _FRAME_UID)
    except PARSE_ERRORS:
        return "", ""
