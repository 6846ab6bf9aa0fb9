"""Candidate files -> series, each with its kind, its plane and the reasons; every file is accounted for.

Only headers are read; pixels only where two images claim one place. A file that is no DICOM, or damaged, is named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sparcc_pipeline.dicom.input.classify import SeriesKind
from sparcc_pipeline.dicom.input.elements import PARSE_ERRORS, printable_name, quiet_pydicom
from sparcc_pipeline.dicom.input.files.directory import ListedFile, is_directory, listed_files, missing_files
from sparcc_pipeline.dicom.input.files.other_files import Unreadable, possible_image
from sparcc_pipeline.dicom.input.files.recognition import START_BYTES, starts_like_dicom
from sparcc_pipeline.dicom.input.headers import Frame, ImageFile, read_open_header
from sparcc_pipeline.dicom.input.series.copies import without_copies
from sparcc_pipeline.dicom.input.series.cut import Cut, find_cut
from sparcc_pipeline.dicom.input.series.geometry import (
    MISSING_SLICE_FRACTION,
    SAME_POSITION_FRACTION,
    frame_normal,
    positions_along,
)
from sparcc_pipeline.dicom.input.series.grouping import Classifier, Part, join_parts, split_series
from sparcc_pipeline.dicom.input.series.series_warnings import series_warnings
from sparcc_pipeline.message import Message
from sparcc_pipeline.orientation import Plane, slice_plane
from sparcc_pipeline.volume import UNIT_TOLERANCE


@dataclass(frozen=True)
class StackSummary:
    """Place of a series' slices by their headers; no claim that it can be read.

    `spacing_mm` is the median distance of neighbouring slices, `coverage_mm` that of the outermost ones; `normal` is
    the LPS normal of the slices.
    """

    plane: Plane | None
    slices: int
    spacing_mm: float
    coverage_mm: float
    pixel_mm: float
    complete: bool
    normal: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class LeftOut:
    """An image of a series that does not belong to its stack, or a frame of one."""

    name: str
    reason: Message


@dataclass(frozen=True)
class SeriesCandidate:
    """One series found in a source. Holds nothing that identifies a person.

    `persons` has the fingerprints of all its files (`volume.SeriesRef`), in order: more than one is a mix-up.
    `uids` are the (study, series) UIDs of its files: more than one for a stack that was joined. `left_out` are other
    images under these UIDs. `partial` is True if another series seems to hold the rest of the stack.
    """

    study_uid: str
    series_uid: str
    kind: SeriesKind
    reasons: tuple[Message, ...]
    stack: StackSummary
    files: tuple[ImageFile, ...] = field(repr=False)
    warnings: tuple[Message, ...] = ()
    persons: tuple[str, ...] = field(default=(), repr=False)
    uids: tuple[tuple[str, str], ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    copies: tuple[str, ...] = ()
    cut: Cut = Cut()
    partial: bool = False

    @property
    def acquired(self) -> str | None:
        """When the first of its files was acquired (`volume.SeriesRef`)."""
        return min((file.acquired for file in self.files if file.acquired), default=None)

    @property
    def series_number(self) -> int | None:
        """SeriesNumber of the first file."""
        return self.files[0].series_number

    def has_uid(self, series_uid: str) -> bool:
        """Return True if any of its files has this SeriesInstanceUID."""
        return any(own == series_uid for _, own in self.uids) or self.series_uid == series_uid

    def describe(self) -> Message:
        """Return one phrase for a list of series: number, kind, plane, slices, UID."""
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
    """The content of a source: series by study, series number and UID; all other files by name.

    `directories` are DICOMDIR files, which list images and hold none.
    """

    series: tuple[SeriesCandidate, ...]
    files: int
    other_files: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    directories: tuple[str, ...] = ()

    @property
    def not_dicom(self) -> int:
        """The number of files that are no image and never were."""
        return len(self.other_files)

    @property
    def damaged(self) -> tuple[str, ...]:
        """The names of files that cannot be read or are missing, and may have been images."""
        return tuple(each.name for each in self.unreadable)


@dataclass
class _Looked:
    """Everything that was read from the candidate files."""

    headers: list[ImageFile] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    listed: list[ListedFile] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)

    def add(self, path: Path) -> None:
        """Read one file."""
        try:
            with path.open("rb") as opened:
                start = opened.read(START_BYTES)
                if not starts_like_dicom(start):
                    self._add_other(path, start)
                    return
                opened.seek(0)
                self.headers.append(read_open_header(path, opened))
        except PARSE_ERRORS as error:
            if is_directory(path):
                self.listed += listed_files(path)
                self.directories.append(printable_name(path))
                return
            reason = Message("missing") if isinstance(error, FileNotFoundError) else Message("damaged or cut off")
            self.unreadable.append(Unreadable(printable_name(path), reason))

    def _add_other(self, path: Path, start: bytes) -> None:
        reason = possible_image(path, start)
        if reason is None:
            self.other.append(printable_name(path))
        else:
            self.unreadable.append(Unreadable(printable_name(path), reason))


def discover(files: Iterable[Path]) -> Discovery:
    """Group the DICOM files among `files` into series and return the kind of each.

    Parameters
    ----------
    files : candidate files in any order (`source.open_source` lists them); a file that does not exist is unreadable
    """
    looked, paths = _Looked(), sorted(files)
    with quiet_pydicom():
        for path in paths:
            looked.add(path)
    found = {uid for header in looked.headers for uid in (header.study_uid, header.sop_instance_uid)}
    looked.unreadable += [
        Unreadable(printable_name(each.path), Message("missing (listed in the DICOMDIR)"), each.series_uid or None)
        for each in missing_files(looked.listed, found, set(paths))
    ]
    series = _candidates(looked.headers, tuple(looked.unreadable))
    series.sort(
        key=lambda s: (s.study_uid, -1 if s.series_number is None else s.series_number, s.series_uid, s.kind.value)
    )
    other, directories = tuple(looked.other), tuple(looked.directories)
    return Discovery(tuple(series), len(paths), other, tuple(looked.unreadable), directories)


def _candidates(headers: list[ImageFile], unreadable: tuple[Unreadable, ...]) -> list[SeriesCandidate]:
    by_uid: dict[tuple[str, str], list[ImageFile]] = defaultdict(list)
    for header in headers:
        by_uid[header.study_uid, header.series_uid].append(header)
    kind_of = Classifier()
    parts: list[Part] = []
    copies: dict[tuple[str, str], list[ImageFile]] = {}
    for uid, files in by_uid.items():
        kept, copies[uid] = without_copies(files)
        parts += [Part(p.files, p.classification, [uid]) for p in split_series(kept, kind_of)]
    parts = join_parts(parts)
    of_uid: dict[tuple[str, str], list[Part]] = defaultdict(list)
    for part in parts:
        for uid in part.uids:
            of_uid[uid].append(part)
    return [
        _candidate(
            part,
            [other for uid in part.uids for other in of_uid[uid] if other is not part],
            [copy for uid in part.uids for copy in copies[uid]],
            unreadable,
        )
        for part in parts
    ]


def _candidate(
    part: Part, others: list[Part], copies: list[ImageFile], unreadable: tuple[Unreadable, ...]
) -> SeriesCandidate:
    """Return one series: its stack, and what else lies under its UIDs."""
    study_uid, series_uid = part.uids[0]
    series = {uid for _, uid in part.uids}
    lost = [each for each in unreadable if each.series_uid is None or each.series_uid in series]
    stray = [frame for other in others for frame in other.frames]
    cut = find_cut(part.files, stray, len(lost), len(copies))
    left_out = tuple(_left_out(frame, other) for other in others for frame in other.frames)
    persons = {file.person for file in (*part.files, *copies) if file.person}
    return SeriesCandidate(
        study_uid=study_uid,
        series_uid=series_uid,
        kind=part.classification.kind,
        reasons=part.classification.reasons,
        stack=_summary(part.frames),
        files=tuple(part.files),
        warnings=(
            *part.classification.warnings,
            *series_warnings(part, others, [copy.name for copy in copies], lost, cut),
        ),
        # Of copies too: one image under two identifiers is a mix-up as well.
        persons=tuple(sorted(persons)),
        uids=tuple(part.uids),
        left_out=left_out,
        copies=tuple(copy.name for copy in copies),
        cut=cut,
        partial=part.partial,
    )


def _left_out(frame: Frame, part: Part) -> LeftOut:
    name = printable_name(frame.path)
    named = (
        name if frame.frame_number is None else Message("{file}, frame {number}", file=name, number=frame.frame_number)
    )
    return LeftOut(
        named, Message("{kind}: {reasons}", kind=part.classification.kind.value, reasons=part.classification.reasons)
    )


def _summary(frames: list[Frame]) -> StackSummary:
    """Return plane, spacing and completeness from the frames that state their place."""
    placed = [(f, n) for f in frames if f.position_mm is not None and (n := frame_normal(f)) is not None]
    if not placed:
        return StackSummary(None, len(frames), 0.0, 0.0, 0.0, complete=False)
    normal = placed[0][1]
    along = np.sort(positions_along([f for f, _ in placed], normal))
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
        normal=(float(normal[0]), float(normal[1]), float(normal[2])),
    )
