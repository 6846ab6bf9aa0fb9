"""Make the reports: the score, a person's reading, and the volumes of the segments. Source: [DicomPS3.16] TID 1500.

Score and volumes are two reports, because older validators reject groups of TID 1501 beside groups of TID 1411. Each
item of the score is a group that names its source image. "Not evaluable" has its own code, and a number that was not
measured is absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import highdicom.sr as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import DS

from sparcc_pipeline.anatomy import Quadrant
from sparcc_pipeline.dicom.output.result_header import Kind, ResultHeader
from sparcc_pipeline.dicom.output.seg import BONE_CODE, LEVEL_CODE, Segment
from sparcc_pipeline.dicom.uids import derived_uid
from sparcc_pipeline.sparcc.intensity import ReferenceSignal
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore
from sparcc_pipeline.volume import TissueMaps

Group = hd.MeasurementsAndQualitativeEvaluations
VolumeGroup = hd.VolumetricROIMeasurementsAndQualitativeEvaluations


@dataclass(frozen=True)
class Uncertainty:
    """The uncertainty of a score, as in `score.json`; None where it is not known."""

    expected: float | None = None
    interval_90: tuple[float, float] | None = None
    probability_remission: float | None = None


def make_score_report(
    header: ResultHeader, score: SparccScore, tissue: TissueMaps, joints: Joints, uncertainty: Uncertainty
) -> Dataset:
    """Return the report of a score: one group for the totals, then per joint-slice one for each joint and quadrant."""
    groups: list[Group] = [_totals(header, score, uncertainty, _algorithm(header), score.asas_positive)]
    for joint in score.joints:
        groups.append(_joint_slice(header, score, joint))
        groups += _quadrants(header, score, joint, _areas(score, joint, tissue, joints))
    return _report(header, Kind.SCORE, groups, _evidence(header, score.slices.indices))


def make_reading_report(header: ResultHeader, score: SparccScore, reader: str, asas_positive: bool | None) -> Dataset:
    """Return the report of a person's locked reading, with the same groups as a score.

    The code of the reader, not a name, stands for observer and verifier. `asas_positive` is the reader's own answer.
    """
    groups: list[Group] = [_totals(header, score, Uncertainty(), None, asas_positive)]
    for joint in score.joints:
        groups.append(_joint_slice(header, score, joint))
        groups += _quadrants(header, score, joint, dict.fromkeys(Quadrant))
    return _report(header, Kind.READING, groups, _evidence(header, score.slices.indices), reader)


def make_volume_report(
    header: ResultHeader, segments: tuple[Segment, ...], segmentation: Dataset, voxel_mm3: float
) -> Dataset:
    """Return the report of the volumes, one group for each segment."""
    return _report(
        header,
        Kind.VOLUMES,
        [_volume(header, s, number, segmentation, voxel_mm3) for number, s in enumerate(segments, start=1)],
        [segmentation],
    )


def _report(
    header: ResultHeader,
    kind: Kind,
    groups: Sequence[Group | VolumeGroup],
    evidence: list[Dataset],
    reader: str | None = None,
) -> Dataset:
    """Return a preliminary, unverified report of the device, or a final report verified by `reader` (a code).

    The first group must refer to all of the evidence.
    """
    codes = header.codes
    person = None if reader is None else f"Reader^{reader}"
    content = hd.MeasurementReport(
        observation_context=_device(header) if person is None else _person(header, person),
        procedure_reported=codes["mri"],
        imaging_measurements=groups[:1],
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
    for group in groups[1:]:
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


def _totals(
    header: ResultHeader,
    score: SparccScore,
    uncertainty: Uncertainty,
    algorithm: hd.AlgorithmIdentification | None,
    asas_positive: bool | None,
) -> Group:
    codes, reference = header.codes, score.reference_signal
    low, high = uncertainty.interval_90 or (None, None)
    measured: list[tuple[str, float | None, str]] = [
        ("total", score.total if score.evaluable_maximum else None, "no_units"),
        ("edema_score", score.edema, "no_units"),
        ("intensity_score", score.intensity, "no_units"),
        ("depth_score", score.depth, "no_units"),
        ("evaluable_maximum", score.evaluable_maximum, "no_units"),
        ("reference_signal", None if reference is None else reference.value, "arbitrary_unit"),
        ("expected", uncertainty.expected, "no_units"),
        ("interval_low", low, "no_units"),
        ("interval_high", high, "no_units"),
        ("remission", uncertainty.probability_remission, "no_units"),
    ]
    return Group(
        tracking_identifier=_tracking(header, "SPARCC sacroiliac inflammation score"),
        algorithm_id=algorithm,
        finding_sites=[hd.FindingSite(codes["sacroiliac_joint"])],
        measurements=_measurements(header, measured),
        qualitative_evaluations=[
            hd.QualitativeEvaluation(codes["intended_use"], codes["research_only"]),
            _evaluation(header, "asas", None if asas_positive is None else int(asas_positive)),
            *(() if reference is None else (_reference_tissue(header, reference),)),
        ],
        source_images=[_source_image(header, index) for index in score.slices.indices],
    )


def _reference_tissue(header: ResultHeader, reference: ReferenceSignal) -> hd.QualitativeEvaluation:
    """Return the tissue of the reference signal; the names of codes equal the kinds of reference."""
    return hd.QualitativeEvaluation(header.codes["reference_tissue"], header.codes[reference.kind])


def _joint_slice(header: ResultHeader, score: SparccScore, joint: JointSliceScore) -> Group:
    """Return intensity, depth and measurements of one joint on one slice."""
    codes, index = header.codes, score.slices.indices[joint.slice]
    points = joint.points if joint.evaluable else None
    return Group(
        tracking_identifier=_tracking(header, f"{joint.side.value} sacroiliac joint, slice {index}"),
        finding_sites=[hd.FindingSite(codes["sacroiliac_joint"], laterality=codes[joint.side.value])],
        measurements=_measurements(
            header,
            [
                ("slice", index, "no_units"),
                ("points", points, "no_units"),
                ("height", joint.height_mm, "millimeter"),
                ("lesion_depth", joint.depth_mm, "millimeter"),
            ],
        ),
        qualitative_evaluations=[
            _evaluation(header, "intense", joint.intense),
            _evaluation(header, "deep", joint.deep),
        ],
        source_images=[_source_image(header, index)],
    )


def _areas(
    score: SparccScore, joint: JointSliceScore, tissue: TissueMaps, joints: Joints
) -> dict[Quadrant, float | None]:
    """Return the area of edema in each quadrant of one joint on one slice in mm2; None if not evaluable."""
    index = score.slices.indices[joint.slice]
    found = joints.at(index, joint.side)
    return {
        quadrant: None
        if found is None or joint.edema[quadrant] is None
        else int((tissue.edema[index] & found.quadrants[quadrant]).sum()) * tissue.geometry.pixel_area_mm2
        for quadrant in Quadrant
    }


def _quadrants(
    header: ResultHeader, score: SparccScore, joint: JointSliceScore, areas: Mapping[Quadrant, float | None]
) -> Iterator[Group]:
    """Yield the edema of each quadrant of one joint on one slice."""
    codes, index = header.codes, score.slices.indices[joint.slice]
    for quadrant in Quadrant:
        name = f"{joint.side.value} {quadrant.level.value} {quadrant.bone.value} quadrant, slice {index}"
        site = hd.FindingSite(
            codes[BONE_CODE[quadrant.bone]],
            laterality=codes[joint.side.value],
            topographical_modifier=codes[LEVEL_CODE[quadrant.level]],
        )
        yield Group(
            tracking_identifier=_tracking(header, name),
            finding_sites=[site],
            measurements=_measurements(header, [("edema_area", areas[quadrant], "square_millimeter")]),
            qualitative_evaluations=[_evaluation(header, "edema", joint.edema[quadrant])],
            source_images=[_source_image(header, index)],
        )


def _volume(
    header: ResultHeader, segment: Segment, number: int, segmentation: Dataset, voxel_mm3: float
) -> VolumeGroup:
    codes = header.codes
    volume = float(np.count_nonzero(segment.voxels)) * voxel_mm3
    series = hd.SourceSeriesForSegmentation(segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID)
    # highdicom capitalizes each word, but a code meaning must equal the standard's text exactly.
    series.ConceptNameCodeSequence[0].CodeMeaning = "Source series for segmentation"
    return VolumeGroup(
        tracking_identifier=_tracking(header, segment.finding),
        referenced_segment=hd.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=number,
            source_series=series,
        ),
        finding_type=codes[segment.kind],
        finding_sites=[hd.FindingSite(codes["sacroiliac_joint"])],
        measurements=_measurements(header, [("volume", volume, "cubic_millimeter")]),
        qualitative_evaluations=[hd.QualitativeEvaluation(codes["intended_use"], codes["research_only"])],
    )


def _tracking(header: ResultHeader, finding: str) -> hd.TrackingIdentifier:
    return hd.TrackingIdentifier(uid=header.uids.tracking(finding), identifier=finding)


def _measurements(header: ResultHeader, measured: list[tuple[str, float | None, str]]) -> list[hd.Measurement]:
    """Return the values that were measured, rounded to two decimals (a probability to four); counts stay whole."""
    found = []
    for name, value, unit in measured:
        if value is not None:
            shown = round(value, 4 if name == "remission" else 2)
            measurement = hd.Measurement(name=header.codes[name], value=shown, unit=header.codes[unit])
            measurement[0].MeasuredValueSequence[0].NumericValue = DS(str(shown))
            found.append(measurement)
    return found


def _evaluation(header: ResultHeader, item: str, point: int | None) -> hd.QualitativeEvaluation:
    """Return present, absent or not evaluable; a joint that could not be assessed is never absent."""
    value = "not_evaluable" if point is None else "present" if point else "absent"
    return hd.QualitativeEvaluation(header.codes[item], header.codes[value])


def _source_image(header: ResultHeader, index: int) -> hd.SourceImageForMeasurementGroup:
    image = header.source.images[index]
    frames = None if image.frame_number is None else [image.frame_number]
    return hd.SourceImageForMeasurementGroup(image.sop_class_uid, image.sop_instance_uid, frames)
