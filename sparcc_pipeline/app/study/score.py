"""The way of one study: read, segment, find the joints, choose six slices, score."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

from sparcc_pipeline.dicom.input.discover import Discovery, discover
from sparcc_pipeline.dicom.input.elements import looks_like_dicom
from sparcc_pipeline.dicom.input.read import read_series
from sparcc_pipeline.dicom.input.select import Selection, find_stir, find_t1
from sparcc_pipeline.dicom.input.series.account import InputAccount, account_for
from sparcc_pipeline.dicom.input.series.cut import ANTERIOR, END_WORDS, POSTERIOR, Cut
from sparcc_pipeline.dicom.input.source import open_source
from sparcc_pipeline.dicom.output.source_header import SourceHeader, read_source_header
from sparcc_pipeline.errors import ConfigError, IncompleteSeriesError, InputError, SeriesNotFoundError, UnscorableError
from sparcc_pipeline.imaging.nifti import read_nifti
from sparcc_pipeline.imaging.quality import QualityFlag, assess_quality
from sparcc_pipeline.message import Message, words_of
from sparcc_pipeline.sparcc.intensity import reference_region
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.sparcc.margins import item_margins
from sparcc_pipeline.sparcc.score import SparccScore, score_sparcc
from sparcc_pipeline.sparcc.slices import SLICES_SCORED, SixSlices, choose_six_slices, six_slices_from_user
from sparcc_pipeline.sparcc.uncertainty import Calibration, ScoreLikelihood, score_likelihood
from sparcc_pipeline.volume import BoolArray, TissueMaps, Volume

NO_T1: Final = Message("the study has no semicoronal T1-weighted series")

CHOSEN_BY_USER: Final = "user"
"""`SixSlices.chosen_by` of slices that a user asked for."""

NIFTI_SUFFIXES: Final = (".nii", ".nii.gz")

CustomSlices = tuple[int, int]
"""First and last of six slices, 0-based from the most anterior one, inclusive."""


class Segmenter(Protocol):
    """What turns a volume into tissue maps and joints, and says which model it is."""

    @property
    def provenance(self) -> Mapping[str, str]:
        """Name, version, sha256 and engine of the model."""

    def calibration_of(self, tissue: TissueMaps) -> Calibration | None:
        """How sure the model is of the points that follow from these maps; None where that was not measured."""

    def segment(self, volume: Volume, t1: Volume | None = None) -> tuple[TissueMaps, Joints]:
        """The tissue maps of one STIR volume, in its own geometry, and its joints; T1 helps where there is one."""


_SLICES: Final = re.compile(r"\s*(\d{1,6})\s*-\s*(\d{1,6})\s*")


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

    `t1` is the T1-weighted series beside it; where it is None, `no_t1` says why. `header` is what DICOM results need of
    the source's headers (it knows the patient, and shows nothing of it); None where none were asked for, or where there
    can be none: then `no_header` says why. `account` has the use of every file of a
    DICOM source; `cut` the ends of the stack at which slices may be missing.
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


@dataclass(frozen=True)
class Segmented:
    """A study with the tissue and the joints that were found in it, and the model that found them.

    `quality` is what about the images makes a score of them less dependable.
    """

    study: Study
    tissue: TissueMaps
    joints: Joints
    model: Mapping[str, str]
    calibration: Calibration | None = None
    quality: tuple[QualityFlag, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scored(Segmented):
    """A score, with everything that it was made from.

    `likelihood` says how sure the score is; None where the model cannot say.
    """

    score: SparccScore
    likelihood: ScoreLikelihood | None = None

    @property
    def reference_region(self) -> BoolArray:
        """(slices, rows, columns) bool: what the reference signal of intensity was measured on."""
        return reference_region(self.tissue, self.score.reference_signal)


@dataclass(frozen=True)
class Unscorable:
    """Valid data to which the method does not apply; `study` is None where it was not read as a whole."""

    error: UnscorableError
    study: Study | None = None


@dataclass(frozen=True)
class Rejected:
    """Data that the site that sent it must repair; `study` is None if it was not read as a whole."""

    error: InputError
    study: Study | None = None


Outcome = Scored | Unscorable | Rejected


def score_study(
    source: Path,
    request: Request,
    load_segmenter: Callable[[], Segmenter],
    progress: Callable[[str], None],
    *,
    with_header: bool = False,
) -> Outcome:
    """Score one study.

    Parameters
    ----------
    source : folder, zip, DICOMDIR, DICOM file or NIfTI file
    load_segmenter : called once the input was accepted; a batch passes one that keeps its segmenter
    progress : told the name of each step as it begins
    with_header : also keep what DICOM results need of the source's headers

    Raises
    ------
    ConfigError : the slices asked for are not in the stack, or headers are wanted of a source that has none
    ModelError : no usable model
    """
    return score_images(lambda: read_study(source, request, with_header=with_header), request, load_segmenter, progress)


def score_images(
    read: Callable[[], Study],
    request: Request,
    load_segmenter: Callable[[], Segmenter],
    progress: Callable[[str], None],
) -> Outcome:
    """Score what `read` reads (see `score_study`)."""
    study = None
    try:
        progress("Reading the images")
        study = read()
        progress("Loading the model")
        segmenter = load_segmenter()
        progress("Segmenting the bones and the edema")
        segmented = segment_study(study, segmenter)
        progress("Scoring")
        return score_slices(segmented, six_slices(segmented, request))
    except UnscorableError as error:
        return Unscorable(error, study)
    except InputError as error:
        return Rejected(error, study)


def segment_study(study: Study, segmenter: Segmenter) -> Segmented:
    """Tissue and joints of one study.

    Raises
    ------
    UnscorableError : another body part, no joint on one side, or no marrow to compare with
    NotStirError : fat is as bright as fluid
    """
    tissue, joints = segmenter.segment(study.stir, study.t1)
    quality = assess_quality(study.stir, tissue, joints)
    return Segmented(study, tissue, joints, segmenter.provenance, segmenter.calibration_of(tissue), quality)


def six_slices(segmented: Segmented, request: Request) -> SixSlices:
    """Return the slices that the user asked for, else those of the transitional-slice rule.

    Raises
    ------
    IncompleteSeriesError : the rule chose slices at an end of the stack where slices may be missing
    """
    if request.slices is not None:
        return six_slices_from_user(*request.slices, segmented.joints)
    six = choose_six_slices(segmented.joints, segmented.tissue.ligamentous)
    require_not_cut(segmented.study, six)
    return _warned_of_end(six, segmented.tissue)


def _warned_of_end(six: SixSlices, tissue: TissueMaps) -> SixSlices:
    """Return the six, with a warning if the stack ends before the ligamentous part shows: its end may be missing."""
    last = six.transitional_slice
    if last < len(tissue.ligamentous) - 1 or tissue.ligamentous[last] >= 0.5:
        return six
    warning = Message(
        "the ligamentous part shows on no slice: the six end with the last slice of the series, and slices may be "
        "missing behind it"
    )
    return replace(six, warnings=(*six.warnings, warning))


def require_not_cut(study: Study, six: SixSlices) -> None:
    """Refuse six slices that touch an end of the stack where slices may be missing: the true six may lie beyond it."""
    # The transitional slice is found by the slices behind it: with less than two of them it may be another one.
    near = {ANTERIOR: six.first == 0, POSTERIOR: six.transitional_slice >= study.stir.geometry.shape[0] - 2}
    touched = [END_WORDS[end] for end in (ANTERIOR, POSTERIOR) if end in study.cut.ends and near[end]]
    if touched:
        raise IncompleteSeriesError(
            Message(
                "expected the whole series, found that slices may be missing at its {ends} end, which the six slices "
                "touch: {reasons}; send the missing files, or choose the slices with --slices",
                ends=tuple(touched),
                reasons=study.cut.reasons,
            )
        )


def score_slices(segmented: Segmented, slices: SixSlices) -> Scored:
    """Score these six slices.

    Raises
    ------
    UnscorableError : nothing on them can be evaluated
    """
    study, tissue, joints, calibration = segmented.study, segmented.tissue, segmented.joints, segmented.calibration
    score = score_sparcc(study.stir, tissue, joints, slices)
    _require_evaluable(score)
    likelihood = None
    if calibration is not None:
        likelihood = score_likelihood(item_margins(study.stir, tissue, joints, score), calibration)
    return Scored(
        study, tissue, joints, segmented.model, calibration, segmented.quality, score=score, likelihood=likelihood
    )


def read_study(source: Path, request: Request, *, with_header: bool = False) -> Study:
    """Find and read the series to score, the T1-weighted one beside it, and if asked for what headers tell.

    Raises
    ------
    InputError, UnscorableError : there is none that can be read, or the method does not apply to it
    ConfigError : `request` names slices or a series that this source cannot have, or it has no DICOM headers
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
    """First and last slice of "7-12".

    Raises
    ------
    ConfigError : not two numbers, or not six slices
    """
    match = _SLICES.fullmatch(text)
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if last - first + 1 != SLICES_SCORED:
        raise ConfigError(
            f"expected --slices as the first and last of {SLICES_SCORED} consecutive slices, for instance 7-12 "
            f"(0-based from the most anterior slice), found {text!r}; change it"
        )
    return first, last


def is_nifti(source: Path) -> bool:
    """True for a file that is called NIfTI."""
    return source.name.lower().endswith(NIFTI_SUFFIXES) and source.is_file()


def only_nifti(files: Iterable[Path]) -> Path | None:
    """Return the NIfTI file of a folder that holds one and nothing like DICOM, as converters write it; else None."""
    images = [file for file in files if is_nifti(file)]
    if len(images) != 1 or any(looks_like_dicom(file) for file in files):
        return None
    return images[0]


def read_nifti_study(file: Path, request: Request, *, with_header: bool = False) -> Study:
    """The image of a NIfTI file (errors: see `read_study`)."""
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
    """The series to score among these files, and the T1 beside it (errors: see `read_study`).

    `or_without`: a study that can have no DICOM results is no fault; `no_header` says why.
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
    """The T1-weighted series beside the chosen one, or why there is none: it is never worth losing a study for."""
    candidate = find_t1(discovery, selection.series)
    if candidate is None:
        return None, NO_T1
    try:
        return read_series(candidate), None
    except (InputError, UnscorableError) as error:
        return None, Message("the T1-weighted series cannot be used: {error}", error=words_of(error))


def require_readable(source: Path) -> None:
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
