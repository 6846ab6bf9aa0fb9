"""Every file of a source and its use for the series that is scored."""

from __future__ import annotations

from dataclasses import dataclass

from sparcc_pipeline.dicom.input.discover import Discovery, LeftOut, SeriesCandidate
from sparcc_pipeline.dicom.input.files.other_files import Unreadable
from sparcc_pipeline.message import Message


@dataclass(frozen=True)
class InputAccount:
    """All files that were looked at, by base name. A file that a DICOMDIR lists and that is missing is unreadable.

    Parameters
    ----------
    files : number of files that were looked at
    used : files of the series that is scored
    other_series : images of other series
    left_out : images under the UID of the series that do not belong to it, frame by frame, and copies
    not_images : files that are no DICOM images and never were
    unreadable : files that may have been images
    """

    files: int
    used: tuple[str, ...]
    other_series: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    not_images: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


def account_for(discovery: Discovery, chosen: SeriesCandidate) -> InputAccount:
    """Return the use of every file of a source for one of its series."""
    others = [
        file.name for series in discovery.series if not set(series.uids) & set(chosen.uids) for file in series.files
    ]
    others += [name for series in discovery.series if not set(series.uids) & set(chosen.uids) for name in series.copies]
    copies = tuple(LeftOut(name, Message("a copy of another image")) for name in chosen.copies)
    return InputAccount(
        files=discovery.files,
        used=tuple(file.name for file in chosen.files),
        other_series=tuple(dict.fromkeys(others)) if len(set(others)) == len(others) else tuple(others),
        left_out=(*chosen.left_out, *copies),
        not_images=(*discovery.other_files, *discovery.directories),
        unreadable=discovery.unreadable,
    )
