"""Make the segmentation object: sacrum, both ilia, bone marrow edema and, on request, the quadrants.

It is BINARY, because common viewers do not read LABELMAP yet. It has the geometry of the source: axes are put back into
the stored order, and nothing is resampled. Every segment has a frame for every slice, so an empty segment is written
too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Bone, Level, Quadrant, Side
from sparcc_pipeline.dicom.output.result_header import RESEARCH_ONLY, Kind, ResultHeader
from sparcc_pipeline.dicom.uids import derived_uid
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.sparcc.slices import SixSlices
from sparcc_pipeline.volume import BoolArray, StorageOrder, TissueMaps

COLORS: Final = {"sacrum": "#0072B2", "edema": "#E69F00", "quadrant": "#CC79A7"}
ILIUM_COLORS: Final = {Side.RIGHT: "#56B4E9", Side.LEFT: "#009E73"}
"""Colors of Okabe and Ito, which people with color blindness can distinguish."""

BONE_CODE: Final = {Bone.ILIUM: "ilium", Bone.SACRUM: "sacrum"}
LEVEL_CODE: Final = {Level.UPPER: "superior", Level.LOWER: "inferior"}
"""Names in `codes.toml`. No standard code exists for a quadrant, so it is coded as bone, side and level."""


@dataclass(frozen=True, eq=False)
class Segment:
    """One segment: its label, its codes by their names in `codes.toml`, and its voxels in the project's axes.

    The tracking UID derives from `finding`, so `finding` must never change.
    """

    label: str
    finding: str
    category: str
    kind: str
    modifiers: tuple[str, ...]
    color: str
    voxels: BoolArray


def segments_of(tissue: TissueMaps) -> tuple[Segment, ...]:
    """Return sacrum, right ilium, left ilium and bone marrow edema."""
    sacrum = tissue.anatomy == AnatomyLabel.SACRUM
    segments = [Segment("Sacrum", "sacrum", "anatomical_structure", "sacrum", (), COLORS["sacrum"], sacrum)]
    for side, label in ILIUM_LABEL.items():
        name, ilium = f"{side.value} ilium", tissue.anatomy == label
        modifiers, color = (side.value,), ILIUM_COLORS[side]
        segments.append(Segment(name.capitalize(), name, "anatomical_structure", "ilium", modifiers, color, ilium))
    name, color = "bone marrow edema", COLORS["edema"]
    segments.append(Segment(name.capitalize(), name, "abnormal_structure", "edema_finding", (), color, tissue.edema))
    return tuple(segments)


def quadrant_segments(joints: Joints, slices: SixSlices) -> Iterator[Segment]:
    """Yield the eight quadrants of both joints on the six scored slices."""
    for side in Side:
        for quadrant in Quadrant:
            voxels = np.zeros(joints.geometry.shape, dtype=bool)
            for index in slices.indices:
                joint = joints.at(index, side)
                if joint is not None:
                    voxels[index] = joint.quadrants[quadrant]
            name = f"{side.value} {quadrant.level.value} {quadrant.bone.value} quadrant"
            modifiers, color = (side.value, LEVEL_CODE[quadrant.level]), COLORS["quadrant"]
            bone = BONE_CODE[quadrant.bone]
            yield Segment(name.capitalize(), name, "spatial_concept", bone, modifiers, color, voxels)


def make_segmentation(header: ResultHeader, segments: tuple[Segment, ...], storage: StorageOrder) -> Dataset:
    """Return the segmentation object.

    Parameters
    ----------
    storage : order and direction of the axes in the source
    """
    seg = Segmentation(
        source_images=header.source.datasets(),
        pixel_array=_as_stored(segments, header, storage),
        segmentation_type="BINARY",
        segment_descriptions=[_description(header, s, number) for number, s in enumerate(segments, start=1)],
        content_label="SPARCC",
        content_description=RESEARCH_ONLY,
        content_creator_name="sparcc-pipeline^",
        omit_empty_frames=False,
        coding_schemes=[header.codes.scheme.item()],
        **header.common(Kind.SEGMENTATION),
    )
    dimensions = derived_uid(seg.SOPInstanceUID, "dimensions")
    seg.DimensionOrganizationSequence[0].DimensionOrganizationUID = dimensions
    for index in seg.DimensionIndexSequence:
        index.DimensionOrganizationUID = dimensions
    return seg


def _as_stored(segments: tuple[Segment, ...], header: ResultHeader, storage: StorageOrder) -> np.ndarray:
    """Return uint8 (slices, rows, columns, segments): slices as in `SourceHeader.datasets`, the rest as stored."""
    shape = header.source.size
    frames = [image.frame_number for image in header.source.images]
    order = np.argsort([number or 0 for number in frames], kind="stable")
    array = np.zeros((len(frames), *shape, len(segments)), dtype=np.uint8)
    for index, segment in enumerate(segments):
        stored = storage.to_source(segment.voxels)
        # `to_source` reverses the slices too if they are stored so; the slices of the header run anterior to posterior.
        anterior_first = stored[::-1] if storage.flipped[0] else stored
        array[..., index] = anterior_first[order]
    return array


def _description(header: ResultHeader, segment: Segment, number: int) -> SegmentDescription:
    codes = header.codes
    described = SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=codes[segment.category],
        segmented_property_type=codes[segment.kind],
        algorithm_type="AUTOMATIC",
        algorithm_identification=header.algorithm(),
        tracking_uid=header.uids.tracking(segment.finding),
        tracking_id=segment.finding,
        anatomic_regions=[codes["sacroiliac_joint"]],
        display_color=CIELabColor.from_string(segment.color),
    )
    if segment.modifiers:
        kind = described.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [codes[name] for name in segment.modifiers]
    described.SegmentDescription = RESEARCH_ONLY
    return described
