"""Make the reports: the score, a person's reading, and the volumes of the segments. Source: [DicomPS3.16] TID 1500.

Score and volumes are two reports, because older validators reject groups of TID 1501 beside groups of TID 1411. Each
item of the score is a group that names its source image and its place on it. "Not evaluable" has its own code, and a
number that was not measured is absent.
"""

from __future__ import annotations

from collections.abc import Sequence

import highdicom.sr as hd
from pydicom.dataset import Dataset

from sparcc_pipeline.dicom.output.regions import ReadingRegions, ScoreRegions, segment_regions
from sparcc_pipeline.dicom.output.result_header import Kind, ResultHeader
from sparcc_pipeline.dicom.output.seg import Segment
from sparcc_pipeline.dicom.output.sr_groups import Group, ScoreGroups, Uncertainty, VolumeGroup, areas_of, volume_group
from sparcc_pipeline.dicom.output.stored_plane import StoredPlane
from sparcc_pipeline.dicom.uids import derived_uid
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.sparcc.score import SparccScore
from sparcc_pipeline.volume import TissueMaps


def make_score_report(
    header: ResultHeader,
    score: SparccScore,
    tissue: TissueMaps,
    joints: Joints,
    plane: StoredPlane,
    uncertainty: Uncertainty,
) -> Dataset:
    """Return the report of a score: one group for the totals, then per joint-slice one for each joint and quadrant."""
    of_score = ScoreGroups(header, score, ScoreRegions(plane, joints))
    groups = [of_score.totals(uncertainty, _algorithm(header), score.asas_positive)]
    for joint in score.joints:
        groups += of_score.of_joint(joint, areas_of(score, joint, tissue, joints))
    return _report(header, Kind.SCORE, groups, _evidence(header, score.slices.indices))


def make_reading_report(
    header: ResultHeader, score: SparccScore, reader: str, asas_positive: bool | None, plane: StoredPlane
) -> Dataset:
    """Return the report of a person's locked reading, with the same groups as a score.

    The code of the reader, not a name, stands for observer and verifier. `asas_positive` is the reader's own answer.
    """
    of_reading = ScoreGroups(header, score, ReadingRegions(plane))
    groups = [of_reading.totals(Uncertainty(), None, asas_positive)]
    for joint in score.joints:
        groups += of_reading.of_joint(joint)
    return _report(header, Kind.READING, groups, _evidence(header, score.slices.indices), reader)


def make_volume_report(
    header: ResultHeader, segments: tuple[Segment, ...], segmentation: Dataset, voxel_mm3: float, plane: StoredPlane
) -> Dataset:
    """Return the report of the volumes, one group for each segment."""
    regions = segment_regions(plane, [segment.voxels for segment in segments])
    groups = [
        volume_group(header, segment, _referenced(segmentation, number), voxel_mm3, region)
        for number, (segment, region) in enumerate(zip(segments, regions, strict=True), start=1)
    ]
    images = _evidence(header, tuple(sorted({region.slice_index for region in regions})))
    return _report(header, Kind.VOLUMES, groups, [segmentation, *images], whole=True)


def _referenced(segmentation: Dataset, number: int) -> hd.ReferencedSegment:
    series = hd.SourceSeriesForSegmentation(segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID)
    # highdicom capitalizes each word, but a code meaning must equal the standard's text exactly.
    series.ConceptNameCodeSequence[0].CodeMeaning = "Source series for segmentation"
    return hd.ReferencedSegment(
        sop_class_uid=segmentation.SOPClassUID,
        sop_instance_uid=segmentation.SOPInstanceUID,
        segment_number=number,
        source_series=series,
    )


def _report(
    header: ResultHeader,
    kind: Kind,
    groups: Sequence[Group | VolumeGroup],
    evidence: list[Dataset],
    reader: str | None = None,
    *,
    whole: bool = False,
) -> Dataset:
    """Return a preliminary, unverified report of the device, or a final report verified by `reader` (a code).

    The first group must refer to all of the evidence, or, with `whole`, all groups together.
    """
    first = len(groups) if whole else 1
    codes = header.codes
    person = None if reader is None else f"Reader^{reader}"
    content = hd.MeasurementReport(
        observation_context=_device(header) if person is None else _person(header, person),
        procedure_reported=codes["mri"],
        imaging_measurements=groups[:first],
        title=codes["measurement_report"],
    )
    report = hd.Comprehensive3DSR(
        evidence=evidence,
        content=content,
        is_complete=True,
        is_final=person is not None,
        is_verified=person is not None,
        verifying_observer_name=person,
        verifying_organization=None if person is None else header.origin.software,
        coding_schemes=[codes.scheme.item()],
        **header.common(kind),
    )
    # highdicom copies and searches the whole tree several times, so add the other groups after it has finished.
    measurements = report.ContentSequence[-1].ContentSequence
    for group in groups[first:]:
        measurements.extend(group)
    return report


def _device(header: ResultHeader) -> hd.ObservationContext:
    origin = header.origin
    device = hd.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("sparcc device", origin.software_version, origin.model_sha256),
        name=origin.software,
        manufacturer_name=origin.software,
        model_name=f"{origin.model} {origin.model_version}",
        serial_number=origin.model_sha256,
    )
    observer = hd.ObserverContext(observer_type=header.codes["device"], observer_identifying_attributes=device)
    return hd.ObservationContext(observer_device_context=observer)


def _person(header: ResultHeader, name: str) -> hd.ObservationContext:
    person = hd.PersonObserverIdentifyingAttributes(name=name)
    observer = hd.ObserverContext(observer_type=header.codes["person"], observer_identifying_attributes=person)
    return hd.ObservationContext(observer_person_context=observer)


def _algorithm(header: ResultHeader) -> hd.AlgorithmIdentification:
    return hd.AlgorithmIdentification(
        name=header.origin.model,
        version=header.origin.model_version,
        parameters=[f"{name}={value}" for name, value in header.origin.parameters.items()],
    )


def _evidence(header: ResultHeader, indices: tuple[int, ...]) -> list[Dataset]:
    """Return the source images that a report refers to."""
    found = header.source.datasets()
    return found if header.source.is_multiframe else [found[index] for index in indices]
