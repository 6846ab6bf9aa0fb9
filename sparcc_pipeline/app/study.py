"""The way of one study: read, segment, find the joints, choose six slices, score."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from sparcc_pipeline.dicom.discover import Discovery, discover
from sparcc_pipeline.dicom.read import read_series
from sparcc_pipeline.dicom.select import Selection, find_stir, find_t1
from sparcc_pipeline.dicom.source import open_source
from sparcc_pipeline.errors import ConfigError, InputError, SeriesNotFoundError, UnscorableError
from sparcc_pipeline.imaging.nifti import read_nifti
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.sparcc.score import SparccScore, score_sparcc
from sparcc_pipeline.sparcc.slices import SixSlices, choose_six_slices, six_slices_from_user
from sparcc_pipeline.volume import TissueMaps, Volume

NIFTI_SUFFIXES: Final = (".nii", ".nii.gz")

CustomSlices = tuple[int, int]
"""First and last of six slices, 0-based from the most anterior one, inclusive."""


class Segmenter(Protocol):
    """What turns a volume into tissue maps and joints, and says which model it is."""

    @property
    def provenance(self) -> Mapping[str, str]:
        """Name, version, sha256 and engine of the model."""

    def segment(self, volume: Volume) -> tuple[TissueMaps, Joints]:
        """The tissue maps of one STIR volume, in its own geometry, and the joints in them."""


@dataclass(frozen=True)
class Request:
    """What the user asked for beyond the source.

    Parameters
    ----------
    slices : score these six slices instead of those of the transitional-slice rule
    series_uid : score this series instead of the one that fits best
    accept_fat_suppressed : also take fat-suppressed T2 that is not STIR
    """

    slices: CustomSlices | None = None
    series_uid: str | None = None
    accept_fat_suppressed: bool = False


@dataclass(frozen=True)
class Study:
    """The series that is scored, from how many files, why this one, and which were passed over.

    `t1` is the T1-weighted series beside it; where it is None, `no_t1` says why.
    """

    stir: Volume
    files: int
    chosen_because: tuple[Message, ...] = ()
    passed_over: tuple[Message, ...] = ()
    t1: Volume | None = None
    no_t1: Message | None = Message("not asked for")


@dataclass(frozen=True)
class Segmented:
    """A study with the tissue and the joints that were found in it, and the model that found them."""

    study: Study
    tissue: TissueMaps
    joints: Joints
    model: Mapping[str, str]


@dataclass(frozen=True)
class Scored(Segmented):
    """A score, with everything that it was made from."""

    score: SparccScore


@dataclass(frozen=True)
class Unscorable:
    """Valid data to which the method does not apply; `study` is None where it was not read as a whole."""

    error: UnscorableError
    study: Study | None = None


@dataclass(frozen=True)
class Rejected:
    """Data that must be mended by the site that sent it."""

    error: InputError


Outcome = Scored | Unscorable | Rejected


def score_study(
    source: Path, request: Request, load_segmenter: Callable[[], Segmenter], progress: Callable[[str], None]
) -> Outcome:
    """Score one study.

    Parameters
    ----------
    source : folder, zip, DICOMDIR, DICOM file or NIfTI file
    load_segmenter : called once the input was accepted; a batch passes one that keeps its segmenter
    progress : told the name of each step as it begins

    Raises
    ------
    ConfigError : the slices asked for are not in the stack
    ModelError : no usable model
    """
    study = None
    try:
        progress("Reading the images")
        study = read_study(source, request)
        progress("Loading the model")
        segmenter = load_segmenter()
        progress("Segmenting the bones and the edema")
        segmented = segment_study(study, segmenter)
        progress("Scoring")
        return score_slices(segmented, six_slices(segmented, request))
    except UnscorableError as error:
        return Unscorable(error, study)
    except InputError as error:
        return Rejected(error)


def segment_study(study: Study, segmenter: Segmenter) -> Segmented:
    """Tissue and joints of one study.

    Raises
    ------
    UnscorableError : no joint on one side, or no marrow to compare with
    """
    tissue, joints = segmenter.segment(study.stir)
    return Segmented(study, tissue, joints, segmenter.provenance)


def six_slices(segmented: Segmented, request: Request) -> SixSlices:
    """The slices that the user asked for, else those of the transitional-slice rule."""
    if request.slices is not None:
        return six_slices_from_user(*request.slices, segmented.joints)
    return choose_six_slices(segmented.joints, segmented.tissue.ligamentous)


def score_slices(segmented: Segmented, slices: SixSlices) -> Scored:
    """Score these six slices.

    Raises
    ------
    UnscorableError : nothing on them can be evaluated
    """
    study, tissue, joints = segmented.study, segmented.tissue, segmented.joints
    score = score_sparcc(study.stir, tissue, joints, slices)
    _require_evaluable(score)
    return Scored(study, tissue, joints, segmented.model, score)


def read_study(source: Path, request: Request, *, with_t1: bool = False) -> Study:
    """Find and read the series to score, and the T1-weighted one beside it if asked for.

    Raises
    ------
    InputError, UnscorableError : there is none that can be read, or the method does not apply to it
    ConfigError : `request` names slices or a series that this source cannot have
    """
    _require_readable(source)
    if source.is_file() and source.name.lower().endswith(NIFTI_SUFFIXES):
        if request.series_uid is not None:
            raise ConfigError("expected a DICOM source for --series, found a NIfTI file; leave --series out")
        study = Study(
            read_nifti(source),
            files=1,
            chosen_because=(Message("the only image of a NIfTI file"),),
            no_t1=Message("a NIfTI file holds one image"),
        )
    else:
        with open_source(source) as files:
            discovery = discover(files)
            selection = find_stir(discovery, request.series_uid, request.accept_fat_suppressed)
            t1, no_t1 = _read_t1(discovery, selection) if with_t1 else (None, Study.no_t1)
            study = Study(
                read_series(selection.series),
                files=len(selection.series.files),
                chosen_because=selection.reasons,
                passed_over=tuple(
                    Message("{series}: {reason}", series=other.series.describe(), reason=other.reason)
                    for other in selection.others
                ),
                t1=t1,
                no_t1=no_t1,
            )
    _require_slices_within(request, study.stir)
    return study


def _read_t1(discovery: Discovery, selection: Selection) -> tuple[Volume | None, Message | None]:
    """The T1-weighted series beside the chosen one, or why there is none: it is never worth losing a study for."""
    candidate = find_t1(discovery, selection.series)
    if candidate is None:
        return None, Message("the study has no semicoronal T1-weighted series")
    try:
        return read_series(candidate), None
    except (InputError, UnscorableError) as error:
        return None, Message("the T1-weighted series cannot be used: {error}", error=str(error))


def _require_readable(source: Path) -> None:
    """Refuse a path that cannot be reached or opened: what comes after may ask what it is."""
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
            f"found none ({fault.lower()}); check the path and its rights"
        )


def _require_slices_within(request: Request, stir: Volume) -> None:
    """Refuse `--slices` beyond the stack before the slow work."""
    last = stir.geometry.shape[0] - 1
    if request.slices is not None and not 0 <= request.slices[0] <= request.slices[1] <= last:
        first, end = request.slices
        raise ConfigError(
            f"expected --slices between 0 and {last} (0-based from the most anterior slice), found {first}-{end}; "
            "choose six slices of this series"
        )


def _require_evaluable(score: SparccScore) -> None:
    """A study of which nothing could be evaluated has no score: never 0."""
    if score.evaluable_maximum == 0:
        first, last = score.slices.indices[0], score.slices.indices[-1]
        raise UnscorableError(
            f"expected a joint taller than 10 mm on the slices {first}-{last}, found none; "
            "look at the series and choose other slices with --slices"
        )
