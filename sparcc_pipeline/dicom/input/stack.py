"""The frames of one series as an ordered, regular stack, or a named refusal.

Order comes from the positions along the slice normal, never from InstanceNumber or file order, which sites renumber.
Geometry is never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sparcc_pipeline.dicom.input.discover import SeriesCandidate
from sparcc_pipeline.dicom.input.elements import printable_name
from sparcc_pipeline.dicom.input.headers import Frame
from sparcc_pipeline.dicom.input.series.geometry import (
    MISSING_SLICE_FRACTION,
    SAME_POSITION_FRACTION,
    frame_normal,
    positions_along,
)
from sparcc_pipeline.errors import AmbiguousSeriesError, GeometryError, IncompleteSeriesError, TooFewSlicesError
from sparcc_pipeline.message import Message
from sparcc_pipeline.orientation import MIN_SLICES, StoredStack
from sparcc_pipeline.volume import UNIT_TOLERANCE, FloatArray

ORIENTATION_TOLERANCE: Final = 1e-3
"""Largest difference of a direction cosine between slices (0.06 degrees): headers give four digits or more."""

SPACING_TOLERANCE: Final = 1e-3
"""Largest relative difference of the pixel spacing between slices."""

REGULARITY_FRACTION: Final = 0.05
"""Largest distance of a slice from its place in an even stack, in slice spacings (0.17 mm at 3.3 mm)."""

DRIFT_PIXELS: Final = 0.5
"""Largest shift of slices against each other in their plane; beyond, the stack is sheared."""


@dataclass(frozen=True)
class OrderedStack:
    """Frames by growing position along the normal (row direction x column direction), and their geometry as stored."""

    frames: tuple[Frame, ...]
    stored: StoredStack


def order_frames(candidate: SeriesCandidate) -> OrderedStack:
    """Sort a series' slices and check that they form one even stack.

    Raises
    ------
    GeometryError : position, orientation, spacing or size is missing or differs; the stack is sheared
    AmbiguousSeriesError : several acquisitions share the positions
    IncompleteSeriesError : a slice is missing or doubled, or slices lie unevenly
    TooFewSlicesError : fewer than six slices
    """
    frames = [frame for file in candidate.files for frame in file.frames]
    _require_geometry(frames)
    _require_one_shape(frames)
    normal = _common_normal(frames)
    along = positions_along(frames, normal)
    order = np.argsort(along, kind="stable")
    ordered, along = [frames[i] for i in order], along[order]
    _require_one_image_a_place(ordered, along)
    if len(ordered) < MIN_SLICES:
        raise TooFewSlicesError(
            Message(
                "expected at least {wanted} slices, found {found} in {series}; send the whole series",
                wanted=MIN_SLICES,
                found=len(ordered),
                series=candidate.describe(),
            )
        )
    spacing = _even_spacing(ordered, along)
    _require_no_shear(ordered, normal)
    stored = _stored_stack(ordered, normal, spacing, _frame_of_reference(candidate))
    return OrderedStack(tuple(ordered), stored)


def _frame_of_reference(candidate: SeriesCandidate) -> str | None:
    """Return the frame of reference of an even stack; None if its images state none, or each one of its own.

    Some de-identifiers give every slice a FrameOfReferenceUID, and some scanners leave it out in some images: positions
    that form one even stack show that they belong together (dwv issue 1989). Two frames of reference with several
    slices each are two acquisitions.

    Raises
    ------
    GeometryError : the images state two frames of reference
    """
    stated = [file.frame_of_reference_uid for file in candidate.files if file.frame_of_reference_uid is not None]
    found = set(stated)
    if len(found) <= 1:
        return stated[0] if stated else None
    if len(found) == len(stated):
        return None
    raise GeometryError(
        f"expected one FrameOfReferenceUID in a series, found {len(found)}; export the original series again"
    )


def _require_geometry(frames: Sequence[Frame]) -> None:
    """Refuse frames that do not state their place and pixel size."""
    stated = {
        "ImagePositionPatient": [f.position_mm is not None for f in frames],
        "ImageOrientationPatient": [frame_normal(f) is not None for f in frames],
        "PixelSpacing": [f.pixel_spacing_mm is not None and min(f.pixel_spacing_mm) > 0 for f in frames],
        "Rows and Columns": [bool(f.rows) and bool(f.columns) for f in frames],
    }
    for name, present in stated.items():
        if not all(present):
            raise GeometryError(
                f"expected {name} in every image, found it missing or invalid in {present.count(False)} of "
                f"{len(frames)} (first: {printable_name(frames[present.index(False)].path)}); "
                "export the original images: geometry is never guessed"
            )


def _require_one_shape(frames: Sequence[Frame]) -> None:
    """Refuse slices of several sizes or pixel spacings."""
    sizes = sorted({(f.rows, f.columns) for f in frames}, key=str)
    if len(sizes) > 1:
        raise GeometryError(
            f"expected slices of one size, found {' and '.join(f'{r} x {c}' for r, c in sizes)}; "
            "export the series without scouts and reformats"
        )
    spacings = np.array([f.pixel_spacing_mm for f in frames])
    if not np.allclose(spacings, spacings[0], rtol=SPACING_TOLERANCE, atol=0):
        raise GeometryError(
            f"expected one pixel spacing, found {spacings.min():.4f} to {spacings.max():.4f} mm; "
            "export the series without scouts and reformats"
        )


def _common_normal(frames: Sequence[Frame]) -> FloatArray:
    """Return the normal that all frames share."""
    orientations = np.array([f.orientation for f in frames])
    differing = np.abs(orientations - orientations[0]).max(axis=1) > ORIENTATION_TOLERANCE
    normal = frame_normal(frames[0])
    if differing.any() or normal is None:
        raise GeometryError(
            Message(
                "expected parallel slices, found {found} of {count} with another orientation (first: {file}); export "
                "the series without scouts and reformats",
                found=int(differing.sum()),
                count=len(frames),
                file=printable_name(frames[int(differing.argmax())].path),
            )
        )
    return normal


def _require_one_image_a_place(frames: Sequence[Frame], along: FloatArray) -> None:
    """Refuse two images at one position, and two slices with one UID."""
    gaps = np.diff(along)
    spacing = float(np.median(gaps[gaps > UNIT_TOLERANCE])) if (gaps > UNIT_TOLERANCE).any() else 0.0
    doubled = np.flatnonzero(gaps <= max(SAME_POSITION_FRACTION * spacing, UNIT_TOLERANCE))
    if doubled.size:
        pairs = [(frames[int(i)], frames[int(i) + 1]) for i in doubled]
        differing = sorted({k for a, b in pairs for k, _ in set(a.acquisition) ^ set(b.acquisition)})
        if differing or len(pairs) >= len(frames) // 2:
            raise AmbiguousSeriesError(
                Message(
                    "expected one image a slice position, found {found} of {count} images at the place of another "
                    "(differing: {tags}): several acquisitions in one series; export each acquisition as a series of "
                    "its own",
                    found=len(pairs),
                    count=len(frames),
                    tags=tuple(differing) or Message("no tag that differs"),
                )
            )
        raise IncompleteSeriesError(
            Message(
                "expected one image a slice position, found {found} of {count} images at the place of another (first: "
                "{file}); export the series again without the doubled slice",
                found=len(pairs),
                count=len(frames),
                file=printable_name(pairs[0][1].path),
            )
        )
    if len({(f.sop_instance_uid, f.frame_number) for f in frames}) < len(frames):
        raise AmbiguousSeriesError(
            "expected one SOPInstanceUID a slice, found one UID on several slices; export the series again with "
            "valid UIDs (the de-identification gave all images one UID)"
        )


def _even_spacing(frames: Sequence[Frame], along: FloatArray) -> float:
    """Return the distance of neighbouring slices, if it is even and no slice is missing."""
    gaps = np.diff(along)
    typical = float(np.median(gaps))
    widest = int(gaps.argmax())
    if gaps[widest] > MISSING_SLICE_FRACTION * typical:
        lost = max(1, round(float(gaps[widest]) / typical) - 1)
        raise IncompleteSeriesError(
            Message(
                "expected slices every {typical:.2f} mm, found a gap of {gap:.2f} mm after slice {slice} of {count} in "
                "order of position ({lost} missing there); send the missing slices",
                typical=typical,
                gap=float(gaps[widest]),
                slice=widest + 1,
                count=len(frames),
                lost=lost,
            )
        )
    spacing = float(along[-1] - along[0]) / (len(frames) - 1)
    off = np.abs(along - (along[0] + spacing * np.arange(len(frames))))
    if off.max() > REGULARITY_FRACTION * spacing:
        raise IncompleteSeriesError(
            Message(
                "expected evenly spaced slices, found distances of {smallest:.2f} to {largest:.2f} mm; send the "
                "complete original series",
                smallest=float(gaps.min()),
                largest=float(gaps.max()),
            )
        )
    stated, thickness = frames[0].slice_spacing_mm, frames[0].slice_thickness_mm
    # Some scanners state the gap between slices here: only a value no smaller than a slice is a distance of centres.
    if stated and thickness and stated >= thickness > 0:
        factor = spacing / stated
        if round(factor) >= 2 and abs(factor - round(factor)) < REGULARITY_FRACTION * round(factor):
            raise IncompleteSeriesError(
                Message(
                    "expected slices every {stated:.2f} mm (SpacingBetweenSlices), found one every {found:.2f} mm: "
                    "only one slice in {factor} is here; send the whole series",
                    stated=stated,
                    found=spacing,
                    factor=round(factor),
                )
            )
    return spacing


def _require_no_shear(frames: Sequence[Frame], normal: FloatArray) -> None:
    """Refuse slices that do not lie straight behind each other."""
    positions = np.array([f.position_mm for f in frames])
    in_plane = positions - np.outer(positions @ normal, normal)
    drift = float(np.linalg.norm(in_plane - in_plane[0], axis=1).max())
    pixel = min(frames[0].pixel_spacing_mm or (0.0,))
    if drift > DRIFT_PIXELS * pixel:
        raise GeometryError(
            f"expected slices straight behind each other, found them shifted by up to {drift:.2f} mm in their plane; "
            "export the original slices (a sheared stack cannot be scored)"
        )


def _stored_stack(frames: Sequence[Frame], normal: FloatArray, spacing: float, frame_uid: str | None) -> StoredStack:
    """Return the stack with source axes (slice by position, row, column)."""
    first = frames[0]
    if not (first.orientation and first.position_mm and first.pixel_spacing_mm and first.rows and first.columns):
        raise GeometryError("expected checked slices, found one without geometry; export the original images")
    along_row, along_column = (v / np.linalg.norm(v) for v in np.array(first.orientation).reshape(2, 3))
    position = first.position_mm
    return StoredStack(
        shape=(len(frames), first.rows, first.columns),
        directions=np.array([normal, along_column, along_row]),
        spacing_mm=(spacing, first.pixel_spacing_mm[0], first.pixel_spacing_mm[1]),
        origin_mm=(position[0], position[1], position[2]),
        slice_axis=0,
        frame_of_reference_uid=frame_uid,
    )
