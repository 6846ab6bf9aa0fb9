"""Make all DICOM results of one scored study, one file after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.dicom.input.elements import quiet_pydicom
from sparcc_pipeline.dicom.output.codes import CodeTable
from sparcc_pipeline.dicom.output.encapsulated import make_encapsulated_pdf
from sparcc_pipeline.dicom.output.overlay import make_cover, make_overlay
from sparcc_pipeline.dicom.output.presentation import Marked, make_presentation_states
from sparcc_pipeline.dicom.output.result_header import Origin, ResultHeader
from sparcc_pipeline.dicom.output.seg import Segment, make_segmentation, quadrant_segments, segments_of
from sparcc_pipeline.dicom.output.source_header import SourceHeader
from sparcc_pipeline.dicom.output.sr import make_reading_report, make_score_report, make_volume_report
from sparcc_pipeline.dicom.output.sr_groups import Uncertainty
from sparcc_pipeline.dicom.output.stored_plane import StoredPlane
from sparcc_pipeline.dicom.uids import ResultUids
from sparcc_pipeline.sparcc.intensity import reference_region
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.sparcc.score import SparccScore
from sparcc_pipeline.volume import TissueMaps, Volume, slice_number

SEGMENTATION_FILE = "seg.dcm"
SCORE_REPORT_FILE = "score.sr.dcm"
VOLUME_REPORT_FILE = "volumes.sr.dcm"
REPORT_FILE = "report.pdf.dcm"
COVER_FILE = "overlay/cover.dcm"
READING_FILE = "reading.sr.dcm"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a result may have beside what it always has.

    Parameters
    ----------
    quadrants : True adds the eight quadrants as segments
    presentation : True adds presentation states
    pdf : the report to encapsulate
    """

    quadrants: bool = False
    presentation: bool = False
    pdf: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Result:
    """A scored study to write, as plain data.

    Parameters
    ----------
    cover : the picture with the total; axes (rows, columns, 3), uint8 RGB
    pictures : one for each scored slice, anterior to posterior; axes as of the cover
    pixels_per_mm : scale of the pictures of slices
    window : signal shown as black and as white
    options : further segments and objects
    """

    stir: Volume
    tissue: TissueMaps
    joints: Joints
    score: SparccScore
    cover: NDArray[np.uint8]
    pictures: tuple[NDArray[np.uint8], ...]
    pixels_per_mm: float
    window: tuple[float, float]
    uncertainty: Uncertainty = field(default_factory=Uncertainty)
    options: Options = field(default_factory=Options)


@dataclass(frozen=True)
class ResultFile:
    """One DICOM file: its name relative to the folder of the result, with "/" between folders, and its bytes."""

    name: str
    sop_instance_uid: str
    content: bytes = field(repr=False)


def make_results(source: SourceHeader, result: Result, origin: Origin, codes: CodeTable) -> Iterator[ResultFile]:
    """Yield segmentation, score, volumes, cover, six pictures and what the options ask for, made one at a time.

    The same result has the same UIDs. Any change of source, model, settings, codes or content changes the UIDs of all
    objects, because they refer to each other.

    Raises
    ------
    ConfigError : the table lacks a code
    """
    segments = segments_of(result.tissue)
    if result.options.quadrants:
        segments += tuple(quadrant_segments(result.joints, result.score.slices))
    uids = ResultUids(source.identity.series_uid, _fingerprint(result, segments, origin, codes))
    header = ResultHeader(source, origin, uids, codes)
    with quiet_pydicom():
        yield from _files(header, result, segments)


def make_reading(
    source: SourceHeader,
    stir: Volume,
    score: SparccScore,
    reader: str,
    asas_positive: bool | None,
    origin: Origin,
    codes: CodeTable,
) -> ResultFile:
    """Return a person's locked reading as a report verified by the reader.

    Parameters
    ----------
    origin : its `created_at` is the time of the lock

    Raises
    ------
    ConfigError : the table lacks a code
    """
    content = (score.joints, score.slices, reader, asas_positive, origin, codes.scheme, sorted(codes.codes.items()))
    uids = ResultUids(source.identity.series_uid, hashlib.sha256(repr(content).encode()).hexdigest())
    header = ResultHeader(source, origin, uids, codes)
    with quiet_pydicom():
        report = make_reading_report(header, score, reader, asas_positive, StoredPlane.of(stir.geometry, stir.storage))
        return ResultFile(READING_FILE, report.SOPInstanceUID, header.encode(report))


def _files(header: ResultHeader, result: Result, segments: tuple[Segment, ...]) -> Iterator[ResultFile]:
    plane = StoredPlane.of(result.stir.geometry, result.stir.storage)
    voxel_mm3 = float(np.prod(result.stir.geometry.spacing_mm))
    segmentation = make_segmentation(header, segments, result.stir.storage)
    yield ResultFile(SEGMENTATION_FILE, segmentation.SOPInstanceUID, header.encode(segmentation))
    score = make_score_report(header, result.score, result.tissue, result.joints, plane, result.uncertainty)
    yield ResultFile(SCORE_REPORT_FILE, score.SOPInstanceUID, header.encode(score))
    volumes = make_volume_report(header, segments, segmentation, voxel_mm3, plane)
    yield ResultFile(VOLUME_REPORT_FILE, volumes.SOPInstanceUID, header.encode(volumes))
    indices = result.score.slices.indices
    if result.options.pdf is not None:
        report = make_encapsulated_pdf(header, result.options.pdf, indices)
        yield ResultFile(REPORT_FILE, report.SOPInstanceUID, header.encode(report))
    cover = make_cover(header, indices, result.cover)
    yield ResultFile(COVER_FILE, cover.SOPInstanceUID, header.encode(cover))
    for number, index in enumerate(indices, start=1):
        capture = make_overlay(header, index, number, result.pictures[number - 1], result.pixels_per_mm)
        yield ResultFile(f"overlay/slice_{slice_number(index):02d}.dcm", capture.SOPInstanceUID, header.encode(capture))
    if not result.options.presentation:
        return
    marked = Marked(result.score, result.tissue, result.joints, result.stir.storage, result.window)
    for number, state in enumerate(make_presentation_states(header, marked), start=1):
        yield ResultFile(f"presentation_{number}.dcm", state.SOPInstanceUID, header.encode(state))


def _fingerprint(result: Result, segments: tuple[Segment, ...], origin: Origin, codes: CodeTable) -> str:
    """Return the hash of inputs and content of the result; its time has no part in it."""
    digest = hashlib.sha256()
    model = (origin.model, origin.model_version, origin.model_sha256)
    inputs = (origin.settings_sha256, origin.input_sha256, codes.scheme, sorted(codes.codes.items()))
    made_from = (origin.software, origin.software_version, *model, *inputs)
    content = (result.score.joints, result.score.slices, result.score.reference_signal, result.uncertainty)
    shown = (result.window, result.pixels_per_mm, result.options)
    digest.update(repr((made_from, content, *shown)).encode())
    digest.update(result.options.pdf or b"")
    for segment in segments:
        digest.update(segment.finding.encode())
        digest.update(np.packbits(segment.voxels).tobytes())
    for picture in (result.cover, *result.pictures):
        digest.update(np.ascontiguousarray(picture).tobytes())
    digest.update(np.packbits(reference_region(result.tissue, result.score.reference_signal)).tobytes())
    return digest.hexdigest()
