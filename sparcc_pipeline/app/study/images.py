"""Find and read the images of one study: the STIR series to score, and the T1-weighted one if there is one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sparcc_pipeline.dicom.input.discover import Discovery, discover
from sparcc_pipeline.dicom.input.files.recognition import looks_like_dicom
from sparcc_pipeline.dicom.input.read import read_series
from sparcc_pipeline.dicom.input.select import Selection, find_stir, find_t1
from sparcc_pipeline.dicom.input.series.account import InputAccount, account_for
from sparcc_pipeline.dicom.input.series.cut import Cut
from sparcc_pipeline.dicom.input.source import open_source
from sparcc_pipeline.dicom.output.source_header import SourceHeader, read_source_header
from sparcc_pipeline.errors import ConfigError, InputError, SeriesNotFoundError, UnscorableError
from sparcc_pipeline.imaging.nifti import read_nifti
from sparcc_pipeline.message import Message, printable, words_of
from sparcc_pipeline.sparcc.slices import SLICES_SCORED
from sparcc_pipeline.volume import Volume, slice_number

NO_T1: Final = Message("the study has no semicoronal T1-weighted series")

NIFTI_SUFFIXES: Final = (".nii", ".nii.gz")

CustomSlices = tuple[int, int]
"""First and last of six slices, 0-based from the most anterior one, inclusive."""

_SLICES: Final = re.compile(r"\s*(\d{1,6})\s*-\s*(\d{1,6})\s*")


@dataclass(frozen=True)
class Request:
    """The request of the user beside the source.

    Parameters
    ----------
    slices : score these six slices instead of those of the transitional-slice rule
    series_uid : score this series instead of the best one
    accept_fat_suppressed : also accept fat-suppressed T2 that is not STIR
    """

    slices: CustomSlices | None = None
    series_uid: str | None = None
    accept_fat_suppressed: bool = False


@dataclass(frozen=True)
class Study:
    """The series to score.

    Parameters
    ----------
    files : number of files that it was read from
    chosen_because : reasons why this series was chosen
    passed_over : other series, with the reasons why they were not chosen
    t1 : the T1-weighted series of the study; if None, `no_t1` is the reason
    header : headers of the source that DICOM results need (it names the patient, but not in its `repr`); if None
        although it was requested, `no_header` is the reason
    account : the use of every file of a DICOM source
    cut : the ends of the stack at which slices may be missing
    """

    stir: Volume
    files: int
    chosen_because: tuple[Message, ...] = ()
    passed_over: tuple[Message, ...] = ()
    t1: Volume | None = None
    no_t1: Message | None = NO_T1
    header: SourceHeader | None = field(default=None, repr=False)
    no_header: Message | None = None
    account: InputAccount | None = field(default=None, repr=False)
    cut: Cut = Cut()


def read_study(source: Path, request: Request, *, with_header: bool = False) -> Study:
    """Find and read the series to score and the T1-weighted one; with `with_header` also the headers.

    Raises
    ------
    InputError, UnscorableError : no series can be read, or the method does not apply to it
    ConfigError : this source lacks the requested slices, series or DICOM headers
    """
    require_readable(source)
    if is_nifti(source):
        return read_nifti_study(source, request, with_header=with_header)
    with open_source(source) as files:
        nifti = only_nifti(files)
        if nifti is not None:
            return read_nifti_study(nifti, request, with_header=with_header)
        return read_dicom_study(files, request, with_header=with_header)


def parse_slices(text: str) -> CustomSlices:
    """Return the indices of the first and the last slice of a text such as "7-12", whose slices are counted from 1.

    Raises
    ------
    ConfigError : not two numbers, or not six slices
    """
    match = _SLICES.fullmatch(text)
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if first < 1 or last - first + 1 != SLICES_SCORED:
        raise ConfigError(
            f"expected --slices as the first and last of {SLICES_SCORED} consecutive slices, for instance 7-12 "
            f"(slice 1 is the most anterior one), found {text!r}; change it"
        )
    return first - 1, last - 1


def is_nifti(source: Path) -> bool:
    """Return whether the source is a file with a NIfTI name."""
    return source.name.lower().endswith(NIFTI_SUFFIXES) and source.is_file()


def only_nifti(files: Iterable[Path]) -> Path | None:
    """Return the NIfTI file of a folder that holds one and nothing like DICOM, as converters write it; else None."""
    images = [file for file in files if is_nifti(file)]
    if len(images) != 1 or any(looks_like_dicom(file) for file in files):
        return None
    return images[0]


def read_nifti_study(file: Path, request: Request, *, with_header: bool = False) -> Study:
    """Return the image of a NIfTI file (errors: see `read_study`)."""
    if request.series_uid is not None:
        raise ConfigError("expected a DICOM source for --series, found a NIfTI file; leave --series out")
    if with_header:
        raise ConfigError(
            "expected a DICOM source for DICOM results, found a NIfTI file, which names no patient, study or image "
            "that they could refer to; leave --dicom out, or score the DICOM series"
        )
    study = Study(
        read_nifti(file),
        files=1,
        chosen_because=(Message("the only image of a NIfTI file"),),
        no_t1=Message("a NIfTI file holds one image"),
    )
    _require_slices_within(request, study.stir)
    return study


def read_dicom_study(
    files: Iterable[Path], request: Request, *, with_header: bool = False, or_without: bool = False
) -> Study:
    """Return the series to score among these files, and the T1 of the study (errors: see `read_study`).

    With `or_without`, a study that cannot have DICOM results is accepted; `no_header` is the reason.
    """
    discovery = discover(files)
    selection = find_stir(discovery, request.series_uid, request.accept_fat_suppressed)
    t1, no_t1 = _read_t1(discovery, selection)
    stir = read_series(selection.series)
    header, no_header = _read_header(selection, stir, or_without=or_without) if with_header else (None, None)
    study = Study(
        stir,
        files=len(selection.series.files),
        chosen_because=selection.reasons,
        passed_over=tuple(
            Message("{series}: {reason}", series=other.series.describe(), reason=other.reason)
            for other in selection.others
        ),
        t1=t1,
        no_t1=no_t1,
        header=header,
        no_header=no_header,
        account=account_for(discovery, selection.series),
        cut=selection.series.cut,
    )
    _require_slices_within(request, study.stir)
    return study


def _read_header(selection: Selection, stir: Volume, *, or_without: bool) -> tuple[SourceHeader | None, Message | None]:
    try:
        return read_source_header(selection.series, stir), None
    except InputError as error:
        if not or_without:
            raise
        return None, Message("no DICOM results: {error}", error=words_of(error))


def _read_t1(discovery: Discovery, selection: Selection) -> tuple[Volume | None, Message | None]:
    """Return the T1-weighted series of the study, or the reason why there is none; a fault of it is no error."""
    candidate = find_t1(discovery, selection.series)
    if candidate is None:
        return None, NO_T1
    try:
        return read_series(candidate), None
    except (InputError, UnscorableError) as error:
        return None, Message("the T1-weighted series cannot be used: {error}", error=words_of(error))


def require_readable(source: Path) -> None:
    """Reject a path that cannot be reached or opened.

    Raises
    ------
    SeriesNotFoundError : it cannot be reached or opened
    """
    fault = None
    try:
        source.stat()
    except OSError as error:
        fault = error.strerror
    if fault is None and not os.access(source, os.R_OK):
        fault = "Permission denied"
    if fault is not None:
        raise SeriesNotFoundError(
            "expected a folder, a zip, a DICOMDIR, a DICOM file or a NIfTI file that can be read, "
            f"found none at {printable(os.fspath(source))} ({fault.lower()}); check the path and its rights"
        )


def _require_slices_within(request: Request, stir: Volume) -> None:
    """Reject `--slices` outside the stack before the slow work."""
    count = stir.geometry.shape[0]
    if request.slices is not None and not 0 <= request.slices[0] <= request.slices[1] < count:
        first, last = map(slice_number, request.slices)
        raise ConfigError(
            f"expected --slices between 1 and {count} (slice 1 is the most anterior one), found {first}-{last}; "
            "choose six slices of this series"
        )
