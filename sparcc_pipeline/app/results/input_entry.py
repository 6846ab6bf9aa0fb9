"""The files of a study as `score.json` holds them: each by its base name and its use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from sparcc_pipeline.dicom.input.series.account import InputAccount

Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class FileEntry:
    """A file by its base name, and why it was not used."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class InputEntry:
    """The use of every file that was looked at."""

    files: Annotated[Count, Field(description="Number of files that were looked at.")]
    used: Annotated[tuple[str, ...], Field(description="Files of the series that was read.")]
    other_series: Annotated[tuple[str, ...], Field(description="Images of other series.")]
    left_out: Annotated[
        tuple[FileEntry, ...],
        Field(description="Images under the UID of the series that do not belong to it, and copies."),
    ]
    not_images: Annotated[tuple[str, ...], Field(description="Files that are no DICOM images.")]
    unreadable: Annotated[
        tuple[FileEntry, ...],
        Field(description="Files that may have been images: damaged, empty, packed, or listed and missing."),
    ]
    may_be_cut: Annotated[
        tuple[str, ...], Field(description="Ends of the stack at which slices may be missing: anterior, posterior.")
    ]


def input_entry(account: InputAccount | None, ends: frozenset[str]) -> InputEntry | None:
    """Return the entry of a study; None for one that was not read from DICOM."""
    if account is None:
        return None
    return InputEntry(
        files=account.files,
        used=account.used,
        other_series=account.other_series,
        left_out=tuple(FileEntry(each.name, each.reason) for each in account.left_out),
        not_images=account.not_images,
        unreadable=tuple(FileEntry(each.name, each.reason) for each in account.unreadable),
        may_be_cut=tuple(sorted(ends)),
    )
