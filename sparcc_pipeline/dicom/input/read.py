"""A DICOM series -> `Volume`: slices in order, signal with rescale applied, in the project's axes.

One file's pixels are held at a time beside the stack itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID

from sparcc_pipeline.dicom.input.declared import checked_values
from sparcc_pipeline.dicom.input.discover import SeriesCandidate
from sparcc_pipeline.dicom.input.elements import printable_name
from sparcc_pipeline.dicom.input.headers import Frame, ImageFile
from sparcc_pipeline.dicom.input.stack import OrderedStack, order_frames
from sparcc_pipeline.errors import AmbiguousSeriesError, UnreadablePixelsError
from sparcc_pipeline.message import Message
from sparcc_pipeline.orientation import place_stack, signed_tilt_degrees
from sparcc_pipeline.volume import Float32Array, Geometry, SeriesRef, Volume

LOSSY_SYNTAXES: Final = frozenset(
    {
        "1.2.840.10008.1.2.4.50",  # JPEG baseline
        "1.2.840.10008.1.2.4.51",  # JPEG extended
        "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
    }
)
"""Transfer syntaxes that always lose detail; LossyImageCompression marks those that may (JPEG 2000)."""


def read_series(candidate: SeriesCandidate) -> Volume:
    """Read one series as a stack of semicoronal slices.

    Parameters
    ----------
    candidate : a series from `discover`; its files must still be there

    Raises
    ------
    AmbiguousSeriesError : its files carry two patient identifiers
    GeometryError, AmbiguousSeriesError, IncompleteSeriesError : see `stack.order_frames`
    NotSemicoronalError, TooFewSlicesError : the method does not apply to this stack
    UnreadablePixelsError : a file is absent, cut off, not decodable, contradicts its header, or holds no signal
    """
    _require_one_person(candidate)
    ordered = _with_slopes(order_frames(candidate))
    geometry, storage = place_stack(ordered.stored)
    signal = np.empty(geometry.shape, dtype=np.float32)
    # Each slice is written to its final place: a stack that is turned afterwards costs a second one.
    notes = _read_signal(candidate, ordered, storage.to_source(signal))
    frames = ordered.frames[::-1] if storage.flipped[0] else ordered.frames
    return Volume(
        signal=signal,
        geometry=geometry,
        series=_reference(candidate, frames, geometry, notes),
        storage=storage,
    )


def _require_one_person(candidate: SeriesCandidate) -> None:
    """Refuse images of two persons. Files without an identifier do not count."""
    if len(candidate.persons) > 1:
        raise AmbiguousSeriesError(
            Message(
                "expected images of one person, found files of {count} patient identifiers in one series; export the "
                "series again from the original study",
                count=len(candidate.persons),
            )
        )


def _with_slopes(ordered: OrderedStack) -> OrderedStack:
    """Return the stack with slope 1 if all its slopes are 0: converters write 0 for "none" (NIfTI.jl issue 14)."""
    if any(frame.rescale_slope != 0 for frame in ordered.frames):
        return ordered
    return OrderedStack(tuple(replace(frame, rescale_slope=1.0) for frame in ordered.frames), ordered.stored)


def _read_signal(candidate: SeriesCandidate, ordered: OrderedStack, signal: Float32Array) -> list[Message]:
    """Fill `signal`, (slices, rows, columns) in stored order; return what was odd about the pixels."""
    files = {file.path: file for file in candidate.files}
    places: dict[Path, list[tuple[int, Frame]]] = defaultdict(list)
    for index, frame in enumerate(ordered.frames):
        places[frame.path].append((index, frame))
    repaired: Counter[Message] = Counter()
    for path, wanted in places.items():
        pixels, notes = checked_values(path, files[path].native_pixels, files[path].declared)
        repaired.update(notes)
        for index, frame in wanted:
            signal[index] = _frame_signal(pixels, frame)
    lowest, highest = signal.min(axis=(1, 2)), signal.max(axis=(1, 2))
    if not (np.isfinite(lowest) & np.isfinite(highest)).all():
        raise UnreadablePixelsError("expected finite signal, found values that are none; export the series again")
    blank = int((lowest == highest).sum())
    if blank == len(signal):
        raise UnreadablePixelsError(
            "expected an image, found one constant value in all slices; export the series again"
        )
    found = [Message("{note} ({count} files)", note=note, count=count) for note, count in repaired.items()]
    if blank:
        found.append(Message("{blank} of {slices} slices are blank: check the export", blank=blank, slices=len(signal)))
    return found


def _frame_signal(pixels: NDArray[np.generic], frame: Frame) -> Float32Array:
    """Return one slice's signal: stored value x slope + intercept, per frame if the header has it so."""
    image = pixels if pixels.ndim == 2 or frame.frame_number is None else _frame_of(pixels, frame, frame.frame_number)
    if image.shape != (frame.rows, frame.columns):
        raise UnreadablePixelsError(
            f"expected {frame.rows} x {frame.columns} pixels, found {image.shape} in {printable_name(frame.path)}; "
            "copy the study again"
        )
    if frame.rescale_slope <= 0:
        raise UnreadablePixelsError(
            f"expected a RescaleSlope over 0, found {frame.rescale_slope:g} in {printable_name(frame.path)}; "
            "export the original images"
        )
    return (image.astype(np.float64) * frame.rescale_slope + frame.rescale_intercept).astype(np.float32)


def _frame_of(pixels: NDArray[np.generic], frame: Frame, number: int) -> NDArray[np.generic]:
    if number > len(pixels):
        raise UnreadablePixelsError(
            f"expected at least {number} frames, found {len(pixels)} in {printable_name(frame.path)}; "
            "copy the study again"
        )
    image: NDArray[np.generic] = pixels[number - 1]
    return image


def _reference(
    candidate: SeriesCandidate, frames: tuple[Frame, ...], geometry: Geometry, notes: list[Message]
) -> SeriesRef:
    """Return the identity of these images, and the facts and warnings that a report may show."""
    numbers = tuple(f.frame_number for f in frames if f.frame_number is not None)
    instances = tuple(f.number for f in frames if f.number is not None)
    return SeriesRef(
        study_uid=candidate.study_uid,
        series_uid=candidate.series_uid,
        sop_instance_uids=tuple(f.sop_instance_uid for f in frames),
        frame_numbers=numbers if len(numbers) == len(frames) else (),
        instance_numbers=instances if len(instances) == len(frames) else (),
        source_kind="dicom",
        facts=_facts(candidate, frames, geometry),
        warnings=(*candidate.warnings, *_warnings(candidate, frames), *notes),
        person=candidate.persons[0] if candidate.persons else None,
        acquired=candidate.acquired,
    )


def _facts(candidate: SeriesCandidate, frames: tuple[Frame, ...], geometry: Geometry) -> dict[str, str | float]:
    """Return facts of the acquisition; no date, no free text about a person."""
    file, protocol = candidate.files[0], candidate.files[0].protocol
    facts: dict[str, str | float | None] = {
        "kind": candidate.kind.value,
        "manufacturer": file.manufacturer or None,
        "model": file.model or None,
        "field_strength_t": file.field_strength_t,
        "repetition_time_ms": protocol.repetition_time_ms,
        "echo_time_ms": protocol.echo_time_ms,
        "inversion_time_ms": protocol.inversion_time_ms,
        "row_spacing_mm": geometry.spacing_mm[1],
        "column_spacing_mm": geometry.spacing_mm[2],
        "slice_thickness_mm": frames[0].slice_thickness_mm,
        "slice_spacing_mm": geometry.spacing_mm[0],
        "slices": geometry.shape[0],
        "rows": geometry.shape[1],
        "columns": geometry.shape[2],
        "tilt_degrees": signed_tilt_degrees(geometry.directions[0]),
        "series_number": candidate.series_number,
        "transfer_syntax": _syntax_name(file),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _syntax_name(file: ImageFile) -> str | None:
    uid = UID(file.transfer_syntax_uid)
    return (uid.name if uid else None) or None


def _warnings(candidate: SeriesCandidate, frames: tuple[Frame, ...]) -> list[Message]:
    """Return what a person should know before trusting a score from these images."""
    warnings = []
    if any(f.lossy or f.transfer_syntax_uid in LOSSY_SYNTAXES for f in candidate.files):
        warnings.append(
            Message("lossy compression: signal was changed before it reached this program; send the original images")
        )
    announced = max((f.announced or 0 for f in candidate.files), default=0)
    present = len(frames) + len(candidate.left_out) + len(candidate.copies)
    if announced > present:
        warnings.append(
            Message(
                "the header announces {announced} images, {found} are here: outer slices may be missing; check the "
                "export",
                announced=announced,
                found=present,
            )
        )
    if all(frame.rescale_slope == 0 for file in candidate.files for frame in file.frames):
        warnings.append(Message("RescaleSlope is 0 in all images: read as 1; compare the pictures with your viewer"))
    if len({(frame.rescale_slope, frame.rescale_intercept) for frame in frames}) > 1:
        warnings.append(
            Message(
                "RescaleSlope or RescaleIntercept differs between slices: applied slice by slice; compare the pictures "
                "with your viewer"
            )
        )
    places = {file.frame_of_reference_uid for file in candidate.files}
    if len(places) > 1:
        warnings.append(
            Message(
                "{count} different or missing FrameOfReferenceUIDs in one even stack: read as one; check that the "
                "images belong together",
                count=len(places),
            )
        )
    return warnings
