"""Read one finding of a DICOM Segmentation, as Slicer, OHIF or this program writes it, on the slices of its series.

Contents: `read_outline`, `Wanted`. Source: [DicomPS3.3] A.51 (Segmentation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from sparcc_pipeline.dicom.guard.sizes import decoded_pixels
from sparcc_pipeline.dicom.input.elements import items_of, number_of, quiet_pydicom, text_of, texts_of
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.volume import BoolArray, StorageOrder

_SEGMENTATION_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"


@dataclass(frozen=True)
class Wanted:
    """The segments that hold the finding: those with one of the labels, or without labels those with the code.

    Parameters
    ----------
    code : scheme and value of the property type
    labels : labels of segments, exactly as the file has them
    """

    code: tuple[str, str]
    labels: frozenset[str] = frozenset()


def read_outline(path: Path, sop_instance_uids: Sequence[str], storage: StorageOrder, wanted: Wanted) -> BoolArray:
    """Return where a segmentation marks the finding, (slices, rows, columns) bool in the project's axes.

    Parameters
    ----------
    sop_instance_uids : the images of the series, anterior to posterior
    storage : order and direction of the axes in the source

    Raises
    ------
    InputError : no segmentation, no such segment, or a frame of an image that is not in the series
    """
    with quiet_pydicom():
        try:
            ds = pydicom.dcmread(path)
            frames = np.asarray(decoded_pixels(ds), dtype=bool)
        except Exception as error:
            raise InputError(
                f"expected a DICOM Segmentation, found none that can be read ({type(error).__name__}); save it again"
            ) from error
        if text_of(ds, "SOPClassUID") != _SEGMENTATION_CLASS:
            raise InputError("expected a DICOM Segmentation, found another kind of DICOM file; name the segmentation")
        numbers = _numbers(ds, wanted)
        frames = frames if frames.ndim == 3 else frames[None]
        marked = _marked(ds, frames, numbers, list(sop_instance_uids))
    # The slices run anterior to posterior here; `from_source` expects them as stored.
    return np.ascontiguousarray(storage.from_source(marked[::-1] if storage.flipped[0] else marked))


def _numbers(ds: Any, wanted: Wanted) -> set[int]:
    """Return the numbers of the wanted segments."""
    found, seen = set(), []
    for segment in items_of(ds, "SegmentSequence"):
        label = (texts_of(segment, "SegmentLabel", keep_case=True) or ("",))[0]
        seen.append(label)
        codes = [
            (text_of(code, "CodingSchemeDesignator"), text_of(code, "CodeValue"))
            for code in items_of(segment, "SegmentedPropertyTypeCodeSequence")
        ]
        scheme, value = (part.upper() for part in wanted.code)
        is_coded = any((a.upper(), b.upper()) == (scheme, value) for a, b in codes)
        if label in wanted.labels or (not wanted.labels and is_coded):
            found.add(int(number_of(segment, "SegmentNumber") or 0))
    if not found:
        raise InputError(
            f"expected a segment with the code {wanted.code[1]} or a label of --outline-label, found {len(seen)} "
            "other segments; name the label of the edema with --outline-label"
        )
    return found


def _marked(ds: Any, frames: BoolArray, numbers: set[int], uids: list[str]) -> BoolArray:
    """Return (slices, rows, columns) bool from the frames of the wanted segments."""
    marked = np.zeros((len(uids), *frames.shape[1:]), dtype=bool)
    for frame, groups in zip(frames, items_of(ds, "PerFrameFunctionalGroupsSequence"), strict=False):
        identified = items_of(groups, "SegmentIdentificationSequence")
        if not identified or int(number_of(identified[0], "ReferencedSegmentNumber") or 0) not in numbers:
            continue
        referenced = [
            str(source.ReferencedSOPInstanceUID)
            for derivation in items_of(groups, "DerivationImageSequence")
            for source in items_of(derivation, "SourceImageSequence")
            if "ReferencedSOPInstanceUID" in source
        ]
        if len(referenced) != 1 or uids.count(referenced[0]) != 1:
            raise InputError(
                "expected frames that each name one image of the scored series, found one that does not; make the "
                "segmentation on the STIR series that was scored"
            )
        marked[uids.index(referenced[0])] |= frame
    return marked
