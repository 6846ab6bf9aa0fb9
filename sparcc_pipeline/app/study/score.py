"""Score one study: read it (`images`), segment, find the joints, choose six slices, score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from sparcc_pipeline.app.study.images import Request, Study, read_study
from sparcc_pipeline.dicom.input.series.cut import ANTERIOR, END_WORDS, POSTERIOR
from sparcc_pipeline.errors import IncompleteSeriesError, InputError, UnscorableError
from sparcc_pipeline.imaging.quality import QualityFlag, assess_quality
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.intensity import reference_region
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.sparcc.score import SparccScore, score_sparcc
from sparcc_pipeline.sparcc.slices import SixSlices, choose_six_slices, six_slices_from_user
from sparcc_pipeline.sparcc.uncertainty import Calibration, ScoreLikelihood, study_likelihood
from sparcc_pipeline.volume import BoolArray, TissueMaps, Volume, slice_ranges

CHOSEN_BY_USER: Final = "user"
"""`SixSlices.chosen_by` of slices that a user requested."""


class Segmenter(Protocol):
    """An object that turns a volume into tissue maps and joints, and names its model."""

    @property
    def provenance(self) -> Mapping[str, str]:
        """Name, version, sha256 and engine of the model."""

    def calibration_of(self, tissue: TissueMaps) -> Calibration | None:
        """Return the calibration of the points that follow from these maps; None if it was not measured."""

    def segment(self, volume: Volume, t1: Volume | None = None) -> tuple[TissueMaps, Joints]:
        """Return the tissue maps of one STIR volume, in its geometry, and its joints; T1 is used if there is one."""


@dataclass(frozen=True)
class Segmented:
    """A study with the tissue and the joints found in it, and the model that found them.

    `quality` lists faults of the images that make a score less dependable.
    """

    study: Study
    tissue: TissueMaps
    joints: Joints
    model: Mapping[str, str]
    calibration: Calibration | None = None
    quality: tuple[QualityFlag, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scored(Segmented):
    """A score, with everything that it was computed from.

    `likelihood` is the uncertainty of the score; None if the model is not calibrated.
    """

    score: SparccScore
    likelihood: ScoreLikelihood | None = None

    @property
    def reference_region(self) -> BoolArray:
        """(slices, rows, columns) bool: the voxels whose signal is the reference of intensity."""
        return reference_region(self.tissue, self.score.reference_signal)


@dataclass(frozen=True)
class Unscorable:
    """Valid data to which the method does not apply; `study` is None if it could not be read."""

    error: UnscorableError
    study: Study | None = None


@dataclass(frozen=True)
class RejectedStudy:
    """Data that the site must correct and send again; `study` is None if it was not read as a whole."""

    error: InputError
    study: Study | None = None


Outcome = Scored | Unscorable | RejectedStudy


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
    load_segmenter : called after the input was accepted; a batch passes one that keeps its segmenter
    progress : called with the name of each step as it begins
    with_header : also keep the headers that DICOM results need

    Raises
    ------
    ConfigError : the requested slices are not in the stack, or the source has no DICOM headers
    ModelError : no usable model
    """
    return score_images(lambda: read_study(source, request, with_header=with_header), request, load_segmenter, progress)


def score_images(
    read: Callable[[], Study],
    request: Request,
    load_segmenter: Callable[[], Segmenter],
    progress: Callable[[str], None],
) -> Outcome:
    """Score the study that `read` returns (see `score_study`)."""
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
        return RejectedStudy(error, study)


def segment_study(study: Study, segmenter: Segmenter) -> Segmented:
    """Return the tissue and the joints of one study.

    Raises
    ------
    UnscorableError : another body part, no joint on one side, or no marrow to compare with
    NotStirError : fat is as bright as fluid
    """
    tissue, joints = segmenter.segment(study.stir, study.t1)
    quality = assess_quality(study.stir, tissue, joints)
    return Segmented(study, tissue, joints, segmenter.provenance, segmenter.calibration_of(tissue), quality)


def six_slices(segmented: Segmented, request: Request) -> SixSlices:
    """Return the slices that the user requested, else those of the transitional-slice rule.

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
        "missing behind it; check the end of the series"
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
    UnscorableError : no item on them can be evaluated
    """
    study, tissue, joints, calibration = segmented.study, segmented.tissue, segmented.joints, segmented.calibration
    score = score_sparcc(study.stir, tissue, joints, slices)
    _require_evaluable(score)
    likelihood = None
    if calibration is not None:
        likelihood = study_likelihood(study.stir, tissue, joints, score, calibration)
    return Scored(
        study, tissue, joints, segmented.model, calibration, segmented.quality, score=score, likelihood=likelihood
    )


def _require_evaluable(score: SparccScore) -> None:
    """Reject a study without any evaluable item: it has no score, never 0."""
    if score.evaluable_maximum == 0:
        slices = ", ".join(slice_ranges(score.slices.indices))
        raise UnscorableError(
            f"expected a joint taller than 10 mm on the slices {slices}, found none; "
            "look at the series and choose other slices with --slices"
        )
