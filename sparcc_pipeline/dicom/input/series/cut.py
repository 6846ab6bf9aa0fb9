"""Signs that slices are missing at an end of a stack.

A gap inside a stack shows in its positions. Slices lost at an end leave no gap: nine empty files turned 12 points into
2. So every other sign counts: files that cannot be read, announced images, instance numbers, stray slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from sparcc_pipeline.dicom.input.headers import Frame, ImageFile
from sparcc_pipeline.dicom.input.series.geometry import SAME_POSITION_FRACTION, frame_normal, positions_along
from sparcc_pipeline.message import Message
from sparcc_pipeline.volume import FloatArray

ANTERIOR: Final = "anterior"
POSTERIOR: Final = "posterior"
BOTH: Final = frozenset({ANTERIOR, POSTERIOR})

END_WORDS: Final = {ANTERIOR: Message("anterior"), POSTERIOR: Message("posterior")}

LARGEST_FIRST_NUMBER: Final = 30
"""A series whose instance numbers begin later than this, and than its own length, is numbered otherwise."""

OTHER_ACQUISITION_FRACTION: Final = 0.5
"""Left-out images of which this part lies at places of the stack are another acquisition, not its missing slices."""


@dataclass(frozen=True)
class Cut:
    """The ends of a stack at which slices may be missing, and the signs of it."""

    ends: frozenset[str] = frozenset()
    reasons: tuple[Message, ...] = ()


def find_cut(files: Sequence[ImageFile], left_out: Sequence[Frame], lost: int, copies: int = 0) -> Cut:
    """Return where slices of a stack may be missing.

    Parameters
    ----------
    files : the files of the stack
    left_out : frames of the same series that do not belong to the stack
    lost : files of the source that may have held its slices
    copies : files that were dropped as copies
    """
    frames = [frame for file in files for frame in file.frames if frame.position_mm is not None]
    normal = next((n for frame in frames if (n := frame_normal(frame)) is not None), None)
    if normal is None or len(frames) < 2:
        return Cut()
    normal = normal if normal[1] > 0 else -normal
    along = positions_along(frames, normal)
    ends: set[str] = set()
    reasons: list[Message] = []
    before = _before_first_number(frames, along, left_out)
    if before is not None and before[1] > 0:
        ends.add(before[0])
        reasons.append(
            Message(
                "the instance numbers begin with {first}, at the {end} end",
                first=before[1] + 1,
                end=END_WORDS[before[0]],
            )
        )
    present = len(frames) + len(left_out) + copies
    announced = max((file.announced or 0 for file in files), default=0)
    if announced > present:
        reasons.append(
            Message("the header announces {announced} images, {found} are here", announced=announced, found=present)
        )
    whole = announced == present and before is not None and before[1] == 0
    if lost and not whole:
        reasons.append(Message("{count} files cannot be read or are missing", count=lost))
    unknown = max(announced - present, 0 if whole else lost, 0)
    if unknown:
        ends |= _ends_of_unknown(before, unknown)
    stray = _stray_ends(along, left_out, normal)
    if stray:
        ends |= stray
        reasons.append(Message("left-out images lie beyond its last slices"))
    return Cut(frozenset(ends), tuple(reasons) if ends else ())


def _before_first_number(
    frames: Sequence[Frame], along: FloatArray, left_out: Sequence[Frame]
) -> tuple[str, int] | None:
    """Return the end where counting begins, and how many numbers are missing before it.

    None if the images are not counted one by one along the stack.
    """
    ordered = [frame.number for frame in np.array(frames, dtype=object)[np.argsort(along, kind="stable")]]
    numbers = [number for number in ordered if number is not None]
    if len(numbers) < len(ordered):
        return None
    # Python integers: a damaged number may exceed those of numpy.
    steps = {after - number for number, after in pairwise(numbers)}
    if steps not in ({1}, {-1}):
        return None
    first = min(numbers)
    taken = {frame.number for frame in left_out if frame.number is not None and 0 < frame.number < first}
    missing = first - 1 - len(taken)
    plausible = 0 < missing <= max(LARGEST_FIRST_NUMBER, len(frames))
    return (ANTERIOR if steps == {1} else POSTERIOR), missing if plausible else 0


def _ends_of_unknown(before: tuple[str, int] | None, count: int) -> frozenset[str]:
    """Return the ends at which `count` slices of unknown place may be missing."""
    if before is None:
        return BOTH
    end, missing = before
    if missing >= count:
        return frozenset({end})
    return BOTH if missing else BOTH - {end}


def _stray_ends(along: FloatArray, left_out: Sequence[Frame], normal: FloatArray) -> frozenset[str]:
    """Return the ends beyond which left-out images of the same plane lie, unless they are another acquisition."""
    parallel = [
        frame
        for frame in left_out
        if frame.position_mm is not None
        and (own := frame_normal(frame)) is not None
        and abs(float(np.dot(own, normal))) > 1 - 1e-3
    ]
    if not parallel:
        return frozenset()
    spacing = float(np.median(np.diff(np.sort(along))))
    places = positions_along(parallel, normal)
    nearest = np.abs(places[:, None] - along[None, :]).min(axis=1)
    if (nearest <= SAME_POSITION_FRACTION * spacing).mean() >= OTHER_ACQUISITION_FRACTION:
        return frozenset()
    close = places[nearest > SAME_POSITION_FRACTION * spacing]
    ends = {ANTERIOR} if (close < along.min()).any() else set()
    return frozenset(ends | ({POSTERIOR} if (close > along.max()).any() else set()))
