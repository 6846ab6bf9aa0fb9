"""The series to score: the STIR series that fits best, the reasons, the others, and the T1 series beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sparcc_pipeline.dicom.input.classify import SeriesKind, is_fat_suppressed
from sparcc_pipeline.dicom.input.discover import Discovery, SeriesCandidate
from sparcc_pipeline.dicom.input.series.refusals import FLAG, listed, no_images, no_stir, partial, wanted
from sparcc_pipeline.errors import (
    AmbiguousSeriesError,
    IncompleteSeriesError,
    NotSemicoronalError,
    NotStirError,
    SeriesNotFoundError,
)
from sparcc_pipeline.message import Message
from sparcc_pipeline.orientation import MIN_SLICES, Plane, signed_tilt_degrees
from sparcc_pipeline.volume import FloatArray

SLICE_SPACING_RANGE_MM: Final = (3.0, 5.5)
"""Spacing of STIR slices for SPARCC: 3.3-5 mm (documented default), with 10 % beyond."""

SACRAL_TILT_RANGE_DEGREES: Final = (15.0, 65.0)
"""Tilt of slices that were planned along the sacrum. Real studies lie between 27 and 52 degrees; a straight coronal
series of hips or spine, at 0, often covers more."""

PIXEL_STEP_MM: Final = 0.25
"""Pixel sizes that differ by less count as equal."""

COVERAGE_STEP_MM: Final = 10.0
"""Coverages that differ by less (two to three slices) count as equal."""

T1_ANGLE_DEGREES: Final = 10.0
"""Largest angle between STIR and T1 slices that count as one plane: both are planned along the sacrum."""

T1_SPACING_STEP_MM: Final = 0.5
"""Slice spacings of T1 that differ from that of STIR by the same number of such steps count as equal."""


@dataclass(frozen=True)
class PassedOver:
    """A series that was not chosen, and why."""

    series: SeriesCandidate
    reason: Message


@dataclass(frozen=True)
class Selection:
    """The chosen series, why it was chosen, and the others."""

    series: SeriesCandidate
    reasons: tuple[Message, ...]
    others: tuple[PassedOver, ...]


def find_stir(discovery: Discovery, series_uid: str | None = None, accept_fat_suppressed: bool = False) -> Selection:
    """Choose the series to score.

    Parameters
    ----------
    series_uid : take this series (SeriesInstanceUID) instead of the one that fits best
    accept_fat_suppressed : also take SPAIR, SPIR, fat-saturated or Dixon water T2 where there is no STIR

    Raises
    ------
    SeriesNotFoundError : no readable image, or no series with this UID
    NotStirError : no series, or not this one, is of an accepted kind
    NotSemicoronalError : every accepted series is axial or sagittal
    AmbiguousSeriesError : several studies hold one
    IncompleteSeriesError : another series seems to hold the rest of its stack
    """
    _require_images(discovery)
    kinds = {SeriesKind.STIR, SeriesKind.FAT_SUPPRESSED} if accept_fat_suppressed else {SeriesKind.STIR}
    if series_uid is not None:
        return _named(discovery, series_uid.strip(), kinds)
    accepted = [s for s in discovery.series if s.kind in kinds]
    if not accepted:
        raise NotStirError(no_stir(discovery))
    fitting = [s for s in accepted if _may_be_semicoronal(s)]
    if not fitting:
        raise NotSemicoronalError(
            Message(
                "expected a semicoronal {kind} series, found only {series}; send the series whose slices run parallel "
                "to the sacrum",
                kind=wanted(kinds),
                series=listed(accepted),
            )
        )
    if len({s.study_uid for s in fitting}) > 1:
        raise AmbiguousSeriesError(
            f"expected one study with a {wanted(kinds)} series, found several: {listed(fitting)}; "
            "give one study, choose with --series UID, or score all of them with sparcc batch"
        )
    best = max(fitting, key=_rank)
    if best.partial:
        raise IncompleteSeriesError(partial(best, fitting))
    rivals = [s for s in accepted if s is not best]
    return Selection(best, (_why(best, rivals), *best.reasons), _passed_over(discovery, best, kinds))


def find_t1(discovery: Discovery, stir: SeriesCandidate) -> SeriesCandidate | None:
    """The semicoronal T1 series that fits a STIR series of its study best; None where there is none.

    Only a series that can be read as a stack is taken: semicoronal, within `T1_ANGLE_DEGREES` of the STIR slices, with
    at least `MIN_SLICES` slices and none missing. Of several the first criterion that differs decides: the STIR's own
    frame of reference; acquired, not derived; fat bright, not suppressed; slices spaced as those of STIR; more slices;
    smaller pixels; earlier (what follows may be after contrast agent); UID.
    """
    normal = _normal(stir)
    fitting = [
        series
        for series in discovery.series
        if series.kind is SeriesKind.T1
        and _same_study(series, stir)
        and series.stack.plane is Plane.SEMICORONAL
        and series.stack.complete
        and series.stack.slices >= MIN_SLICES
        and _angle_degrees(normal, _normal(series)) <= T1_ANGLE_DEGREES
    ]

    def misfit(series: SeriesCandidate) -> tuple[bool, bool, bool, int, int, int, float, str, str]:
        file, stack = series.files[0], series.stack
        return (
            file.frame_of_reference_uid != stir.files[0].frame_of_reference_uid,
            _derived(series),
            is_fat_suppressed(file.protocol),
            round(abs(stack.spacing_mm - stir.stack.spacing_mm) / T1_SPACING_STEP_MM),
            -stack.slices,
            round(stack.pixel_mm / PIXEL_STEP_MM),
            float("inf") if series.series_number is None else series.series_number,
            series.acquired or "unknown",  # sorts behind every date
            series.series_uid,
        )

    return min(fitting, key=misfit, default=None)


def _same_study(series: SeriesCandidate, stir: SeriesCandidate) -> bool:
    """Return True if two series are of one study, or of one frame of reference if every slice has a study UID."""
    if series.study_uid == stir.study_uid:
        return True
    scattered = all(len({study for study, _ in each.uids}) > 1 for each in (series, stir))
    place = stir.files[0].frame_of_reference_uid
    return scattered and place is not None and series.files[0].frame_of_reference_uid == place


def _normal(series: SeriesCandidate) -> FloatArray | None:
    """Return the unit LPS normal of a series' slices; None if none of them states one."""
    return None if series.stack.normal is None else np.array(series.stack.normal)


def _angle_degrees(a: FloatArray | None, b: FloatArray | None) -> float:
    """Return the angle (0..90) between two planes, from their normals of either sense; 90 if one is unknown."""
    cosine = 0.0 if a is None or b is None else abs(float(np.dot(a, b)))
    return float(np.degrees(np.arccos(min(1.0, cosine))))


def _derived(series: SeriesCandidate) -> bool:
    words = series.files[0].protocol.image_type
    return "DERIVED" in words[:1] or "SECONDARY" in words[1:2]


def _along_sacrum(series: SeriesCandidate) -> bool:
    """Return True if the tilt is that of slices planned along the sacrum."""
    normal = series.stack.normal
    lowest, highest = SACRAL_TILT_RANGE_DEGREES
    return normal is not None and lowest <= signed_tilt_degrees(normal) <= highest


def _require_images(discovery: Discovery) -> None:
    """Refuse a source without a single readable DICOM image."""
    if not discovery.series:
        raise SeriesNotFoundError(no_images(discovery))


def _named(discovery: Discovery, series_uid: str, kinds: set[SeriesKind]) -> Selection:
    """Return the series that the user asked for, if it is of an accepted kind and plane."""
    under_uid = [s for s in discovery.series if s.has_uid(series_uid)]
    chosen = max(under_uid, key=lambda s: (s.kind in kinds, _may_be_semicoronal(s), _rank(s)), default=None)
    if chosen is None:
        raise SeriesNotFoundError(
            f"expected the series {series_uid!r}, found {listed(discovery.series)}; choose one of these"
        )
    if chosen.kind not in kinds:
        hint = f", or accept it with {FLAG}" if chosen.kind is SeriesKind.FAT_SUPPRESSED else ""
        raise NotStirError(
            f"expected a {wanted(kinds)} series, found {chosen.describe()}: {'; '.join(chosen.reasons)}; "
            f"choose another series{hint}"
        )
    if not _may_be_semicoronal(chosen):
        raise NotSemicoronalError(
            f"expected a semicoronal series, found {chosen.describe()}; choose the series parallel to the sacrum"
        )
    return Selection(chosen, (Message("asked for by its UID"), *chosen.reasons), _passed_over(discovery, chosen, kinds))


def _may_be_semicoronal(series: SeriesCandidate) -> bool:
    """Return True if semicoronal, or without orientation (`read_series` then reports what is missing)."""
    return series.stack.plane in {Plane.SEMICORONAL, None}


_CRITERIA: Final = (
    Message("its plane is known to be semicoronal"),
    Message("it has at least {slices} slices", slices=MIN_SLICES),
    Message("no slice is missing or doubled"),
    Message("it is STIR rather than fat-suppressed"),
    Message("its slices run parallel to the sacrum"),
    Message("it was acquired, not derived"),
    Message(
        "its slice spacing is {lowest:g}-{highest:g} mm",
        lowest=SLICE_SPACING_RANGE_MM[0],
        highest=SLICE_SPACING_RANGE_MM[1],
    ),
    Message("its pixels are smaller"),
    Message("it covers more"),
    Message("it was acquired later (series number)"),
    Message("it was acquired later"),
    Message("its UID sorts last (all else is equal)"),
    Message("its images are corrected for distortion"),
)


def _rank(series: SeriesCandidate) -> tuple[bool | float | str, ...]:
    """Return the key of a series: larger fits better, one entry per `_CRITERIA`."""
    stack = series.stack
    return (
        stack.plane is Plane.SEMICORONAL,
        stack.slices >= MIN_SLICES,
        stack.complete,
        series.kind is SeriesKind.STIR,
        _along_sacrum(series),
        not _derived(series),
        SLICE_SPACING_RANGE_MM[0] <= stack.spacing_mm <= SLICE_SPACING_RANGE_MM[1],
        -round(stack.pixel_mm / PIXEL_STEP_MM),
        round(stack.coverage_mm / COVERAGE_STEP_MM),
        -1 if series.series_number is None else series.series_number,
        series.acquired or "",
        series.series_uid,
        "ND" not in series.files[0].protocol.image_type,
    )


def _advantage(best: SeriesCandidate, other: SeriesCandidate) -> Message:
    """Return the first criterion in which `best` is ahead of `other`."""
    pairs = zip(_CRITERIA, _rank(best), _rank(other), strict=True)
    return next((words for words, a, b in pairs if a != b), _CRITERIA[-1])


def _why(best: SeriesCandidate, rivals: list[SeriesCandidate]) -> Message:
    if not rivals:
        return Message("the only {kind} series", kind=best.kind.value)
    advantages = tuple(dict.fromkeys(_advantage(best, rival) for rival in rivals))
    return Message("best of {count} series: {advantages}", count=len(rivals) + 1, advantages=advantages)


def _passed_over(discovery: Discovery, chosen: SeriesCandidate, kinds: set[SeriesKind]) -> tuple[PassedOver, ...]:
    """Return every other series with the reason why it was not taken; `left_out` has those under the same UID."""
    others = []
    for series in discovery.series:
        if series is chosen or set(series.uids) & set(chosen.uids):
            continue
        if series.kind not in kinds:
            reason = Message("{kind}: {reasons}", kind=series.kind.value, reasons=series.reasons)
        elif not _may_be_semicoronal(series):
            plane = series.stack.plane.value if series.stack.plane else "unknown"
            reason = Message("{plane} slices", plane=plane)
        elif _rank(chosen) > _rank(series):
            reason = Message("the chosen one is preferred: {advantage}", advantage=_advantage(chosen, series))
        else:
            reason = Message("another series was asked for")
        others.append(PassedOver(series, reason))
    return tuple(others)
