"""Files that are not DICOM: those that may have been images, and those that never were."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparcc_pipeline.message import Message

IMAGE_SUFFIXES: Final = frozenset({".dcm", ".dicom", ".dic", ".ima", ".mr", ".acr", ".nema"})
_NUMBER_SUFFIX: Final = re.compile(r"\.\d+")
NIFTI_SUFFIXES: Final = (".nii", ".nii.gz")

PACKED: Final = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
}
"""First bytes of files that may hold images in a packed form, and the names of the forms."""

PACKED_SUFFIXES: Final = frozenset({".zip", ".gz", ".tgz", ".tar", ".7z", ".rar", ".bz2", ".xz"})

OTHER_STARTS: Final = (
    *(b"\x89PNG", b"\xff\xd8\xff", b"%PDF", b"GIF8", b"BM", b"RIFF", b"MZ", b"\x7fELF"),
    *(b"II*\0", b"MM\0*", b"\xd0\xcf\x11\xe0", b"\0\0\0\x01Bud1"),
)
"""First bytes of pictures, documents and programs that lie on discs beside the images."""

OTHER_NAMES: Final = frozenset({"dicomdir", "readme", "license", "version", "lockfile", "thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Unreadable:
    """A file that cannot be read as an image and may have been one; `series_uid` is None if its series is unknown."""

    name: str
    reason: Message
    series_uid: str | None = None


def packed_form(start: bytes) -> str | None:
    """Return the name of the form that a packed file has by its first bytes; None if it is not packed."""
    if start[257:262] == b"ustar":
        return "tar"
    return next((form for magic, form in PACKED.items() if start.startswith(magic)), None)


def packed_form_of(path: Path) -> str | None:
    """Return the packed form of a file, None if it is not packed or cannot be read."""
    try:
        with path.open("rb") as opened:
            return packed_form(opened.read(512))
    except OSError:
        return None


def is_nifti_name(name: str) -> bool:
    """Return True for a file that is named as NIfTI."""
    return name.lower().endswith(NIFTI_SUFFIXES)


def possible_image(path: Path, start: bytes) -> Message | None:
    """Return why a file that is not DICOM may have been an image; None if it never was.

    Parameters
    ----------
    start : its first bytes; empty for an empty file
    """
    name, suffix = path.name.lower(), path.suffix.lower()
    if name.startswith((".", "~")) or name in OTHER_NAMES or is_nifti_name(name):
        return None
    if suffix in PACKED_SUFFIXES and (form := packed_form(start)) is not None:
        return Message("packed ({form})", form=form)
    certain = suffix in IMAGE_SUFFIXES
    if not (certain or suffix == "" or _NUMBER_SUFFIX.fullmatch(suffix)):
        return None
    if not start:
        return Message("empty")
    if _is_text(start) or start.startswith(OTHER_STARTS):
        return Message("not DICOM") if certain else None
    return Message("does not begin like DICOM")


def _is_text(start: bytes) -> bool:
    """Return True for printable text in any encoding that extends ASCII."""
    return all(byte >= 0x20 or byte in b"\t\r\n\f" for byte in start) and any(0x20 < byte < 0x7F for byte in start)
