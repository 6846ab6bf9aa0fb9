"""Images that are in a source twice."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sparcc_pipeline.dicom.input.headers import ImageFile
from sparcc_pipeline.dicom.input.pixels import stored_values
from sparcc_pipeline.errors import UnreadablePixelsError


def without_copies(files: Sequence[ImageFile]) -> tuple[list[ImageFile], list[ImageFile]]:
    """Return the files of one series without copies, and the copies.

    A copy has the UID, place and acquisition of another file, or, under a UID of its own, also its pixels: archives
    import an image twice. Some de-identifiers give every slice one UID, so the UID alone does not count.
    """
    unique: dict[tuple[Any, ...], ImageFile] = {}
    copies = []
    for file in files:
        if unique.setdefault((file.sop_instance_uid, *_place(file)), file) is not file:
            copies.append(file)
    places: dict[tuple[Any, ...], list[ImageFile]] = defaultdict(list)
    for file in unique.values():
        places[_place(file)].append(file)
    kept = []
    for place, found in places.items():
        again = _equal_pixels(found) if len(found) > 1 and place[1] is not None else []
        copies += again
        kept += [file for file in found if not any(file is copy for copy in again)]
    return kept, copies


def _place(file: ImageFile) -> tuple[Any, ...]:
    first = file.frames[0]
    return len(file.frames), first.position_mm, first.orientation, first.acquisition


def _equal_pixels(files: Sequence[ImageFile]) -> list[ImageFile]:
    """Return the files whose pixels an earlier one has."""
    seen: set[str] = set()
    again = []
    for file in files:
        try:
            values = stored_values(file.path, file.native_pixels)
        except UnreadablePixelsError:
            continue
        digest = hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest()
        if digest in seen:
            again.append(file)
        seen.add(digest)
    return again
