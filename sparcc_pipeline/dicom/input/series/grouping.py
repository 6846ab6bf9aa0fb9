"""Headers of images -> stacks: a series apart by kind and plane, one stack under several UIDs joined.

Archives store localizers, key images, T1 or phase images under the UID of the STIR series, and scanners or
de-identifiers give one stack several UIDs. A stack is joined only if its images agree in all that the header states
and their positions interleave or abut: geometry is never guessed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from sparcc_pipeline.dicom.input.classify import Classification, SeriesKind, classify
from sparcc_pipeline.dicom.input.headers import Frame, ImageFile
from sparcc_pipeline.dicom.input.protocol import Protocol
from sparcc_pipeline.dicom.input.series.geometry import (
    MISSING_SLICE_FRACTION,
    SAME_POSITION_FRACTION,
    frame_normal,
    positions_along,
)
from sparcc_pipeline.orientation import MIN_SLICES
from sparcc_pipeline.volume import UNIT_TOLERANCE

OTHER_PLANE_COSINE: Final = float(np.cos(np.radians(10.0)))
"""Slices whose normals differ by more than 10 degrees are another plane. Closer ones are one stack with a fault."""

SAME_ORIENTATION: Final = 1e-3
"""Largest difference of a direction cosine between the parts of a stack, as between the slices of one."""

WIDEST_GAP: Final = 10.0
"""In slice spacings. Parts of one numbered series that lie farther apart are stacks of their own."""


@dataclass
class Part:
    """Images of one kind and plane, with the frames of each file that belong to it.

    `partial` is True if a series of another number and name continues this stack.
    """

    files: list[ImageFile]
    classification: Classification
    uids: list[tuple[str, str]] = field(default_factory=list)
    partial: bool = False

    @property
    def frames(self) -> list[Frame]:
        """The frames of all files."""
        return [frame for file in self.files for frame in file.frames]


class Classifier:
    """Classifies protocols, each once: the images of a series share theirs."""

    def __init__(self) -> None:
        self._known: dict[Protocol, Classification] = {}

    def __call__(self, protocol: Protocol) -> Classification:
        """Return the classification of a protocol."""
        found = self._known.get(protocol)
        if found is None:
            found = self._known[protocol] = classify(protocol)
        return found


def split_series(files: Sequence[ImageFile], kind_of: Classifier) -> list[Part]:
    """Return the images of one series by kind and plane."""
    bins: dict[SeriesKind, list[tuple[ImageFile, list[Frame]]]] = defaultdict(list)
    counts: dict[Classification, int] = defaultdict(int)
    for file in files:
        by_kind: dict[SeriesKind, list[Frame]] = defaultdict(list)
        for frame in file.frames:
            found = kind_of(frame.protocol)
            counts[found] += 1
            by_kind[found.kind].append(frame)
        for kind, frames in by_kind.items():
            bins[kind].append((file, frames))
    parts = []
    for kind, members in bins.items():
        of_kind = {c: n for c, n in counts.items() if c.kind is kind}
        chosen = max(of_kind, key=lambda c: (of_kind[c], c.reasons))
        parts += [Part(found, chosen) for plane in _by_plane(members) for found in _by_image_type(plane)]
    return parts


def _by_image_type(files: list[ImageFile]) -> list[list[ImageFile]]:
    """Return single-frame files by Image Type if each type is a whole stack at the same places, else all together.

    Scanners store a filtered and an unfiltered copy of each slice, some under one UID (heudiconv issue 266).
    """
    types: dict[tuple[str, ...], list[ImageFile]] = defaultdict(list)
    for file in files:
        types[file.protocol.image_type].append(file)
    places = [sorted(str(file.frames[0].position_mm) for file in found) for found in types.values()]
    whole = all(place == places[0] and len(set(place)) == len(place) >= MIN_SLICES for place in places)
    return list(types.values()) if len(types) > 1 and whole else [files]


def _by_plane(members: list[tuple[ImageFile, list[Frame]]]) -> Iterator[list[ImageFile]]:
    """Yield the files of each plane; frames without orientation go to the plane with most frames."""
    planes: list[tuple[Any, dict[int, list[Frame]]]] = []
    unknown: dict[int, list[Frame]] = defaultdict(list)
    last: tuple[tuple[float, ...] | None, dict[int, list[Frame]]] = (None, unknown)
    for index, (_, frames) in enumerate(members):
        for frame in frames:
            if frame.orientation is None or frame.orientation != last[0]:
                last = (frame.orientation, _plane_of(frame, planes, unknown))
            last[1].setdefault(index, []).append(frame)
    if unknown:
        largest = max((p for _, p in planes), key=lambda p: sum(map(len, p.values())), default=None)
        if largest is None:
            planes.append((None, unknown))
        else:
            for index, frames in unknown.items():
                largest.setdefault(index, []).extend(frames)
    for _, plane in planes:
        yield [_with_frames(members[index][0], frames) for index, frames in sorted(plane.items())]


def _plane_of(
    frame: Frame, planes: list[tuple[Any, dict[int, list[Frame]]]], unknown: dict[int, list[Frame]]
) -> dict[int, list[Frame]]:
    normal = frame_normal(frame)
    if normal is None:
        return unknown
    for known, plane in planes:
        if abs(float(np.dot(known, normal))) >= OTHER_PLANE_COSINE:
            return plane
    planes.append((normal, {}))
    return planes[-1][1]


def _with_frames(file: ImageFile, frames: list[Frame]) -> ImageFile:
    if len(frames) == len(file.frames):
        return file
    frames.sort(key=lambda frame: frame.frame_number or 0)
    return replace(file, frames=tuple(frames), protocol=frames[0].protocol)


def join_parts(parts: Iterable[Part]) -> list[Part]:
    """Return the parts with those of one stack joined; mark those that only seem to belong together."""
    alike: dict[tuple[Any, ...], list[Part]] = defaultdict(list)
    result = []
    for part in parts:
        key = _likeness(part)
        if key is None:
            result.append(part)
        else:
            alike[key].append(part)
    for group in alike.values():
        result += _join(group) if len(group) > 1 else group
    return result


def _likeness(part: Part) -> tuple[Any, ...] | None:
    """Return all in which the parts of one stack agree, but for the orientation; None for what is never joined."""
    file, frame = part.files[0], part.files[0].frames[0]
    if part.classification.kind is SeriesKind.OTHER or frame.position_mm is None or frame.pixel_spacing_mm is None:
        return None
    p = frame.protocol
    times = tuple(
        None if t is None else round(t, 1) for t in (p.repetition_time_ms, p.echo_time_ms, p.inversion_time_ms)
    )
    acquisition = (times, p.scanning_sequence, p.scan_options, p.sequence_name, p.image_type, p.complex_component)
    spacing = tuple(round(s, 3) for s in frame.pixel_spacing_mm)
    day = (file.acquired or "")[:10]
    # Of two studies only those of one frame of reference: it belongs to one examination.
    place = file.frame_of_reference_uid or file.study_uid
    return part.classification.kind, place, day, file.person, frame.rows, frame.columns, spacing, acquisition


def _join(group: list[Part]) -> list[Part]:
    """Join by series number, then by name; what remains is partial if it continues another part."""
    for keyword, gaps in (("series_number", True), ("name_hash", False)):
        named: dict[Any, list[Part]] = defaultdict(list)
        rest: list[Part] = []
        for part in group:
            value = getattr(part.files[0], keyword)
            (rest if value in (None, "") else named[value]).append(part)
        for found in named.values():
            rest += [_merged(found)] if len(found) > 1 and _is_one_stack(found, gaps=gaps) else found
        group = rest
    if len(group) > 1 and _is_one_stack(group, gaps=False):
        for part in group:
            part.partial = True
    return group


def _is_one_stack(parts: list[Part], *, gaps: bool) -> bool:
    """Return True if the slices of all parts lie in one row without a place taken twice.

    Parameters
    ----------
    gaps : slices may be missing between the parts; the stack is then refused as incomplete
    """
    frames = [frame for part in parts for frame in part.frames]
    first = frames[0]
    if any(frame.position_mm is None or frame.orientation is None for frame in frames) or first.orientation is None:
        return False
    orientations = np.array([frame.orientation for frame in frames])
    normal = frame_normal(first)
    if normal is None or np.abs(orientations - orientations[0]).max() > SAME_ORIENTATION:
        return False
    along = np.sort(positions_along(frames, normal))
    steps = np.diff(along)
    spacing = float(np.median(steps))
    if spacing <= UNIT_TOLERANCE or steps.min() <= SAME_POSITION_FRACTION * spacing:
        return False
    return bool(steps.max() < (WIDEST_GAP if gaps else MISSING_SLICE_FRACTION) * spacing)


def _merged(parts: list[Part]) -> Part:
    """Return one part with the files of all; its UIDs are those that most of its images have."""
    files = [file for part in parts for file in part.files]
    uids: dict[tuple[str, str], int] = defaultdict(int)
    for file in files:
        uids[file.study_uid, file.series_uid] += len(file.frames)
    ordered = sorted(uids, key=lambda uid: (-uids[uid], uid))
    return Part(files, parts[0].classification, ordered)
