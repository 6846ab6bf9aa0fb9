"""DICOMDIR: the list of files on a disc (PS3.10, PS3.11)."""

from __future__ import annotations

from pathlib import Path

import pydicom
from pydicom.uid import MediaStorageDirectoryStorage

from sparcc_pipeline.dicom.guard.sizes import require_inflatable
from sparcc_pipeline.dicom.input.elements import PARSE_ERRORS, quiet_pydicom, texts_of


def is_directory(path: Path) -> bool:
    """True if `path` is a DICOMDIR, under whatever name."""
    try:
        with quiet_pydicom(), path.open("rb") as opened:
            require_inflatable(opened)
            meta = pydicom.dcmread(opened, specific_tags=["SOPClassUID"], stop_before_pixels=True, force=True).file_meta
            # An element of the file meta information is converted here, and its VR may be damaged.
            return bool(meta.get("MediaStorageSOPClassUID", "") == MediaStorageDirectoryStorage)
    except PARSE_ERRORS:
        return path.name.upper() == "DICOMDIR"


def directory_references(path: Path) -> list[Path]:
    """The files that a DICOMDIR lists, those missing included; of a damaged DICOMDIR, all files beside and below it."""
    try:
        with quiet_pydicom(), path.open("rb") as opened:
            require_inflatable(opened)
            directory = pydicom.dcmread(opened, specific_tags=["DirectoryRecordSequence"], force=True)
            records = list(directory.get("DirectoryRecordSequence") or ())
            names = [texts_of(record, "ReferencedFileID", keep_case=True) for record in records]
    except PARSE_ERRORS:
        names = []
    # A disc's list must not point outside the disc.
    listed = [
        _existing(path.parent, name) for name in names if name and not {"..", "/"} & set("/".join(name).split("/"))
    ]
    return listed or sorted(p for p in path.parent.rglob("*") if p.is_file() and p != path)


def _existing(folder: Path, names: tuple[str, ...]) -> Path:
    """`folder`/names, where a disc mounted in lower case or with '.;1' endings may spell the names differently."""
    exact = folder.joinpath(*names)
    if exact.exists():
        return exact
    found = folder
    for name in names:
        same = [p for p in found.iterdir() if p.name.upper().split(";")[0].rstrip(".") == name.upper()]
        if len(same) != 1:
            return exact
        found = same[0]
    return found
