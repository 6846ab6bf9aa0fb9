"""Candidate files -> series, each with its kind, its plane and the reasons.

Only headers are read. A file that is no DICOM is counted; one that is damaged is noted by name.
"""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from sparcc_pipeline.dicom.input.classify import Classification, SeriesKind, classify
from sparcc_pipeline.dicom.input.directory import is_directory
from sparcc_pipeline.dicom.input.elements import PARSE_ERRORS, looks_like_dicom
from sparcc_pipeline.dicom.input.headers import Frame, ImageFile, read_header
from sparcc_pipeline.message import Message
from sparcc_pipeline.orientation import Plane, slice_plane
from sparcc_pipeline.volume import UNIT_TOLERANCE, FloatArray

SAME_POSITION_FRACTION: Final = 0.05
"""Two slices closer than this part of the slice spacing lie at one position."""

MISSING_SLICE_FRACTION: Final = 1.5
"""A gap wider than this many slice spacings has lost a slice."""


@dataclass(frozen=True)
class StackSummary:
    """How a series' slices lie, as far as the headers tell; no claim that it can be read.

    `spacing_mm` is the median distance of neighbouring slices, `coverage_mm` that of the outermost ones.
    """

    plane: Plane | None
    slices: int
    spacing_mm: float
    coverage_mm: float
    pixel_mm: float
    complete: bool


@dataclass(frozen=True)
class SeriesCandidate:
    """One series found in a source. Holds nothing that identifies a person.

    `persons` has the fingerprints of all its files (`volume.SeriesRef`), in order: more than one is a mix-up.
    """

    study_uid: str
    series_uid: str
    kind: SeriesKind
    reasons: tuple[Message, ...]
    stack: StackSummary
    files: tuple[ImageFile, ...] = field(repr=False)
    warnings: tuple[Message, ...] = ()
    persons: tuple[str, ...] = field(default=(), repr=False)

    @property
    def acquired(self) -> str | None:
        """When the first of its files was acquired (`volume.SeriesRef`)."""
        return min((file.acquired for file in self.files if file.acquired), default=None)

    @property
    def series_number(self) -> int | None:
        """SeriesNumber of the first file."""
        return self.files[0].series_number

    def describe(self) -> Message:
        """One phrase for a list of series: number, UID, kind, plane, slices."""
        return Message(
            "series {number} ({kind}, {plane}, {slices} slices, UID {uid})",
            number=Message("without a number") if self.series_number is None else self.series_number,
            kind=self.kind.value,
            plane=self.stack.plane.value if self.stack.plane else Message("of unknown plane"),
            slices=self.stack.slices,
            uid=self.series_uid,
        )


@dataclass(frozen=True)
class Discovery:
    """What a source holds: series by study, series number and UID; other files counted or named."""

    series: tuple[SeriesCandidate, ...]
    files: int
    not_dicom: int
    damaged: tuple[str, ...]


def discover(files: Iterable[Path]) -> Discovery:
    """Group the DICOM files among `files` into series and say what each is.

    Parameters
    ----------
    files : candidate files in any order (`source.open_source` gives them); a file that does not exist is damaged
    """
    groups: dict[tuple[str, str], list[ImageFile]] = defaultdict(list)
    damaged: list[str] = []
    count = not_dicom = 0
    for path in sorted(files):
        count += 1
        if os.access(path, os.R_OK) and not looks_like_dicom(path):
            not_dicom += 1
            continue
        try:
            header = read_header(path)
        except PARSE_ERRORS:
            if not is_directory(path):
                damaged.append(path.name)
            continue
        groups[header.study_uid, header.series_uid].append(header)
    series = [_candidate(found, tuple(damaged)) for found in groups.values()]
    series.sort(key=lambda s: (s.study_uid, -1 if s.series_number is None else s.series_number, s.series_uid))
    return Discovery(tuple(series), count, not_dicom, tuple(damaged))


def _candidate(found: list[ImageFile], damaged: tuple[str, ...]) -> SeriesCandidate:
    """One series from its headers; copies of one image count once."""
    unique: dict[tuple[object, ...], ImageFile] = {}
    for file in found:
        # Some anonymisers give every slice one UID: only the same UID at the same place is a copy.
        first = file.frames[0]
        key = (file.sop_instance_uid, len(file.frames), first.position_mm, first.orientation, first.acquisition)
        unique.setdefault(key, file)
    files = tuple(unique.values())
    kinds: Counter[Classification] = Counter()
    for file in files:
        kinds[classify(file.protocol)] += len(file.frames)
    order = list(SeriesKind)
    chosen = max(kinds, key=lambda c: (kinds[c], -order.index(c.kind), c.reasons))
    warnings = list(chosen.warnings)
    if len({c.kind for c in kinds}) > 1:
        found_kinds = tuple(sorted({c.kind.value for c in kinds}))
        warnings.append(Message("the series holds images of several kinds: {kinds}", kinds=found_kinds))
    if damaged:
        warnings.append(
            Message(
                "{count} damaged or missing files in the source: slices of this series may be lost", count=len(damaged)
            )
        )
    return SeriesCandidate(
        study_uid=files[0].study_uid,
        series_uid=files[0].series_uid,
        kind=chosen.kind,
        reasons=chosen.reasons,
        stack=_summary([frame for file in files for frame in file.frames]),
        files=files,
        warnings=tuple(warnings),
        # Of copies too: one image under two identifiers is a mix-up as well.
        persons=tuple(sorted({file.person for file in found if file.person})),
    )


def frame_normal(frame: Frame) -> FloatArray | None:
    """Unit LPS normal of a slice (row direction x column direction); None if the header does not give one."""
    if frame.orientation is None:
        return None
    along_row, along_column = frame.orientation[:3], frame.orientation[3:]
    lengths = math.hypot(*along_row), math.hypot(*along_column)
    if min(lengths) < UNIT_TOLERANCE:
        return None
    a, b = (tuple(v / length for v in way) for way, length in zip((along_row, along_column), lengths, strict=True))
    normal = np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
    length = math.hypot(*normal)
    return normal / length if length > 1 - UNIT_TOLERANCE else None


def _summary(frames: list[Frame]) -> StackSummary:
    """Plane, spacing and completeness from the frames that state their place."""
    placed = [(f, n) for f in frames if f.position_mm is not None and (n := frame_normal(f)) is not None]
    if not placed:
        return StackSummary(None, len(frames), 0.0, 0.0, 0.0, complete=False)
    normal = placed[0][1]
    along = np.sort([float(np.dot(np.array(f.position_mm), normal)) for f, _ in placed])
    gaps = np.diff(along)
    spacing = float(np.median(gaps)) if gaps.size else 0.0
    regular = bool(gaps.size) and bool(
        gaps.min() > SAME_POSITION_FRACTION * spacing and gaps.max() < MISSING_SLICE_FRACTION * spacing
    )
    parallel = all(float(np.dot(n, normal)) > 1 - UNIT_TOLERANCE for _, n in placed)
    planes = {slice_plane(n) for _, n in placed}
    return StackSummary(
        plane=planes.pop() if len(planes) == 1 else Plane.OBLIQUE,
        slices=len(frames),
        spacing_mm=spacing,
        coverage_mm=float(along[-1] - along[0]),
        pixel_mm=max(placed[0][0].pixel_spacing_mm or (0.0,)),
        complete=regular and parallel and len(placed) == len(frames),
    )
