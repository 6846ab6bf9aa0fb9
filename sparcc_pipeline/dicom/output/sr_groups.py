"""Make the measurement groups of the reports: totals, joint-slices, quadrants and segments.

The first number of a group is inferred from its place on a source image (see `regions`). The groups of one joint on
one slice share a tracking UID: viewers show them as one finding, with one label for the joint and its four quadrants.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import highdicom.sr as hd
import numpy as np
from pydicom.valuerep import DS

from sparcc_pipeline.anatomy import Quadrant
from sparcc_pipeline.dicom.output.regions import Region, Regions
from sparcc_pipeline.dicom.output.result_header import ResultHeader
from sparcc_pipeline.dicom.output.seg import BONE_CODE, LEVEL_CODE, Segment
from sparcc_pipeline.sparcc.intensity import ReferenceSignal
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore
from sparcc_pipeline.volume import TissueMaps

Group = hd.MeasurementsAndQualitativeEvaluations
VolumeGroup = hd.VolumetricROIMeasurementsAndQualitativeEvaluations
Areas = Mapping[Quadrant, float | None]
Measured = list[tuple[str, float | None, str]]

NO_AREAS: Final[Areas] = dict.fromkeys(Quadrant)


@dataclass(frozen=True)
class Uncertainty:
    """The uncertainty of a score, as in `score.json`; None where it is not known."""

    expected: float | None = None
    interval_90: tuple[float, float] | None = None
    probability_remission: float | None = None


@dataclass(frozen=True, eq=False)
class ScoreGroups:
    """The groups of a score or a reading."""

    header: ResultHeader
    score: SparccScore
    regions: Regions

    def totals(
        self, uncertainty: Uncertainty, algorithm: hd.AlgorithmIdentification | None, asas_positive: bool | None
    ) -> Group:
        """Return the totals, with the line over the joints of the slice with the most points."""
        header, score = self.header, self.score
        codes, reference = header.codes, score.reference_signal
        low, high = uncertainty.interval_90 or (None, None)
        measured: Measured = [
            ("total", score.total if score.evaluable_maximum else None, "points_unit"),
            ("edema_score", score.edema, "points_unit"),
            ("intensity_score", score.intensity, "points_unit"),
            ("depth_score", score.depth, "points_unit"),
            ("evaluable_maximum", score.evaluable_maximum, "points_unit"),
            ("reference_signal", None if reference is None else reference.value, "arbitrary_unit"),
            ("expected", uncertainty.expected, "points_unit"),
            ("interval_low", low, "points_unit"),
            ("interval_high", high, "points_unit"),
            ("remission", uncertainty.probability_remission, "no_units"),
        ]
        return Group(
            tracking_identifier=_tracking(header, "SPARCC sacroiliac inflammation score"),
            algorithm_id=algorithm,
            finding_sites=[hd.FindingSite(codes["sacroiliac_joint"])],
            measurements=_measurements(header, measured, self.regions.total(score)),
            qualitative_evaluations=[
                hd.QualitativeEvaluation(codes["intended_use"], codes["research_only"]),
                _evaluation(header, "asas", None if asas_positive is None else int(asas_positive)),
                *(() if reference is None else (_reference_tissue(header, reference),)),
            ],
            source_images=[_source_image(header, index) for index in score.slices.indices],
        )

    def of_joint(self, joint: JointSliceScore, areas: Areas = NO_AREAS) -> Iterator[Group]:
        """Yield the groups of one joint on one slice: intensity, depth and measurements, then each quadrant."""
        yield self._joint_slice(joint, areas)
        yield from self._quadrants(joint, areas)

    def _joint_slice(self, joint: JointSliceScore, areas: Areas) -> Group:
        header, codes, index = self.header, self.header.codes, self._index(joint)
        known = [area for area in areas.values() if area is not None]
        measured: Measured = [
            ("points", joint.points if joint.evaluable else None, "points_unit"),
            ("joint_area", sum(known) if known else None, "square_millimeter"),
            ("lesion_depth", joint.depth_mm, "millimeter"),
            ("height", joint.height_mm, "millimeter"),
            ("slice", index, "no_units"),
        ]
        return Group(
            tracking_identifier=self._tracking(joint, f"{joint.side.value} sacroiliac joint"),
            finding_sites=[hd.FindingSite(codes["sacroiliac_joint"], laterality=codes[joint.side.value])],
            measurements=_measurements(header, measured, self.regions.joint(index, joint.side)),
            qualitative_evaluations=[
                _evaluation(header, "intense", joint.intense),
                _evaluation(header, "deep", joint.deep),
            ],
            source_images=[_source_image(header, index)],
        )

    def _quadrants(self, joint: JointSliceScore, areas: Areas) -> Iterator[Group]:
        header, codes, index = self.header, self.header.codes, self._index(joint)
        for quadrant in Quadrant:
            name = f"{joint.side.value} {quadrant.level.value} {quadrant.bone.value} quadrant"
            site = hd.FindingSite(
                codes[BONE_CODE[quadrant.bone]],
                laterality=codes[joint.side.value],
                topographical_modifier=codes[LEVEL_CODE[quadrant.level]],
            )
            area: Measured = [("edema_area", areas[quadrant], "square_millimeter")]
            yield Group(
                tracking_identifier=self._tracking(joint, name),
                finding_sites=[site],
                measurements=_measurements(header, area, self.regions.quadrant(index, joint.side, quadrant)),
                qualitative_evaluations=[_evaluation(header, "edema", joint.edema[quadrant])],
                source_images=[_source_image(header, index)],
            )

    def _index(self, joint: JointSliceScore) -> int:
        return self.score.slices.indices[joint.slice]

    def _tracking(self, joint: JointSliceScore, name: str) -> hd.TrackingIdentifier:
        """Return the name of one item with the slice number, and the UID of its joint on its slice."""
        index = self._index(joint)
        uid = self.header.uids.tracking(f"{joint.side.value} sacroiliac joint, slice {index}")
        return hd.TrackingIdentifier(uid=uid, identifier=f"{name}, slice {index + 1}")


def areas_of(score: SparccScore, joint: JointSliceScore, tissue: TissueMaps, joints: Joints) -> Areas:
    """Return the area of edema in each quadrant of one joint on one slice in mm2; None if not evaluable."""
    index = score.slices.indices[joint.slice]
    found = joints.at(index, joint.side)
    return {
        quadrant: None
        if found is None or joint.edema[quadrant] is None
        else int((tissue.edema[index] & found.quadrants[quadrant]).sum()) * tissue.geometry.pixel_area_mm2
        for quadrant in Quadrant
    }


def volume_group(
    header: ResultHeader, segment: Segment, reference: hd.ReferencedSegment, voxel_mm3: float, region: Region
) -> VolumeGroup:
    """Return the volume of one segment, with its outline on one slice."""
    codes = header.codes
    measured: Measured = [("volume", float(np.count_nonzero(segment.voxels)) * voxel_mm3, "cubic_millimeter")]
    group = VolumeGroup(
        tracking_identifier=_tracking(header, segment.finding),
        referenced_segment=reference,
        finding_type=codes[segment.kind],
        finding_sites=[hd.FindingSite(codes["sacroiliac_joint"])],
        measurements=_measurements(header, measured, None),
        qualitative_evaluations=[hd.QualitativeEvaluation(codes["intended_use"], codes["research_only"])],
    )
    # TID 1411 is extensible, but highdicom knows no place of a number in it.
    (number,) = (item for item in group[0].ContentSequence if item.ValueType == "NUM")
    number.ContentSequence = hd.ContentSequence([_coordinates(header, region)])
    return group


def _reference_tissue(header: ResultHeader, reference: ReferenceSignal) -> hd.QualitativeEvaluation:
    """Return the tissue of the reference signal; the names of codes equal the kinds of reference."""
    return hd.QualitativeEvaluation(header.codes["reference_tissue"], header.codes[reference.kind])


def _tracking(header: ResultHeader, finding: str) -> hd.TrackingIdentifier:
    return hd.TrackingIdentifier(uid=header.uids.tracking(finding), identifier=finding)


def _measurements(header: ResultHeader, measured: Measured, region: Region | None) -> list[hd.Measurement]:
    """Return the values that were measured, rounded to two decimals (a probability to four); counts stay whole.

    The first refers to the region.
    """
    found: list[hd.Measurement] = []
    for name, value, unit in measured:
        if value is not None:
            shown = round(value, 4 if name == "remission" else 2)
            places = None if region is None or found else [_coordinates(header, region)]
            measurement = hd.Measurement(
                name=header.codes[name], value=shown, unit=header.codes[unit], referenced_coordinates=places
            )
            measurement[0].MeasuredValueSequence[0].NumericValue = DS(str(shown))
            found.append(measurement)
    return found


def _coordinates(header: ResultHeader, region: Region) -> hd.CoordinatesForMeasurement:
    image = header.source.images[region.slice_index]
    frames = None if image.frame_number is None else [image.frame_number]
    source = hd.SourceImageForRegion(image.sop_class_uid, image.sop_instance_uid, frames)
    return hd.CoordinatesForMeasurement("POLYLINE", region.points, source)


def _evaluation(header: ResultHeader, item: str, point: int | None) -> hd.QualitativeEvaluation:
    """Return present, absent or not evaluable; a joint that could not be assessed is never absent."""
    value = "not_evaluable" if point is None else "present" if point else "absent"
    return hd.QualitativeEvaluation(header.codes[item], header.codes[value])


def _source_image(header: ResultHeader, index: int) -> hd.SourceImageForMeasurementGroup:
    image = header.source.images[index]
    frames = None if image.frame_number is None else [image.frame_number]
    return hd.SourceImageForMeasurementGroup(image.sop_class_uid, image.sop_instance_uid, frames)
