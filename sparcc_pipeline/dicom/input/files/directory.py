"""DICOMDIR: the list of files on a disc ([DicomPS3.10])."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom.uid import MediaStorageDirectoryStorage

from sparcc_pipeline.dicom.guard.sizes import require_inflatable
from sparcc_pipeline.dicom.input.elements import PARSE_ERRORS, quiet_pydicom, text_of, texts_of

_DIRECTORY_NAME: Final = "DICOMDIR"


@dataclass(frozen=True)
class ListedFile:
    """One file that a DICOMDIR lists; texts are empty if its record does not state them."""

    path: Path
    sop_instance_uid: str
    series_uid: str
    study_uid: str = ""


def is_directory(path: Path) -> bool:
    """Return True if `path` is a DICOMDIR, under whatever name."""
    try:
        with quiet_pydicom(), path.open("rb") as opened:
            require_inflatable(opened)
            meta = pydicom.dcmread(opened, specific_tags=["SOPClassUID"], stop_before_pixels=True, force=True).file_meta
            return bool(meta.get("MediaStorageSOPClassUID", "") == MediaStorageDirectoryStorage)
    except PARSE_ERRORS:
        return path.name.upper() == _DIRECTORY_NAME


def listed_files(path: Path) -> list[ListedFile]:
    """Return the files that a DICOMDIR lists, those missing included; none if it is damaged."""
    try:
        with quiet_pydicom(), path.open("rb") as opened:
            require_inflatable(opened)
            directory = pydicom.dcmread(opened, specific_tags=["DirectoryRecordSequence"], force=True)
            found, series, study = [], "", ""
            for record in directory.get("DirectoryRecordSequence") or ():
                series = text_of(record, "SeriesInstanceUID") or series
                study = text_of(record, "StudyInstanceUID") or study
                names = texts_of(record, "ReferencedFileID", keep_case=True)
                # A disc's list must not point outside the disc.
                if names and not {"..", "/"} & set("/".join(names).split("/")):
                    uid = text_of(record, "ReferencedSOPInstanceUIDInFile")
                    found.append(ListedFile(_existing(path.parent, names), uid, series, study))
            return found
    except PARSE_ERRORS:
        return []


def directory_references(path: Path) -> list[Path]:
    """Return a DICOMDIR and the files that belong to it.

    If all listed files are there, these. If some are missing, because files got extensions or were moved, or if the
    list is damaged, all files beside and below it: `discover` finds out which of those listed are among them.
    """
    listed = [each.path for each in listed_files(path)]
    if listed and all(file.is_file() for file in listed):
        return [path, *listed]
    return [path, *sorted(p for p in path.parent.rglob("*") if p.is_file() and p != path)]


def missing_files(listed: Iterable[ListedFile], found_uids: set[str], read: set[Path]) -> list[ListedFile]:
    """Return the listed files that are not among those found, by UID or, if the list states none, by place.

    Parameters
    ----------
    found_uids : UIDs of all studies and images that were read
    read : places of all files that were looked at, whatever they were

    A list that knows none of the images is that of another disc; studies of which nothing was read are not looked for.
    """
    listed = [each for each in listed if not each.study_uid or each.study_uid in found_uids or each.path in read]
    placed = any(each.path in read for each in listed)
    if not placed and not any(each.sop_instance_uid in found_uids for each in listed):
        return []
    return [
        each
        for each in listed
        if each.path not in read and each.sop_instance_uid not in found_uids and (placed or each.sop_instance_uid)
    ]


def _existing(folder: Path, names: tuple[str, ...]) -> Path:
    """Return `folder`/names; a disc mounted in lower case or with '.;1' endings may spell the names differently."""
    exact = folder.joinpath(*names)
    if exact.exists():
        return exact
    found = folder
    for name in names:
        if not found.is_dir():
            return exact
        same = [p for p in found.iterdir() if p.name.upper().split(";")[0].rstrip(".") == name.upper()]
        if len(same) != 1:
            return exact
        found = same[0]
    return found
