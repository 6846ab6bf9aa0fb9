"""The segmentation has the position of the tissue, for every stored orientation of the source."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.volume import BoolArray, FloatArray, Geometry, StorageOrder

from ..conftest import ScoredStudy

Scoring = Callable[..., ScoredStudy]
SEGMENTS = ("Sacrum", "Right ilium", "Left ilium", "Bone marrow edema")


def frames_of(seg: pydicom.Dataset, number: int) -> list[tuple[pydicom.Dataset, NDArray[Any]]]:
    """Return functional groups and pixels of the frames of one segment."""
    groups = seg.PerFrameFunctionalGroupsSequence
    return [
        (group, pixels)
        for group, pixels in zip(groups, seg.pixel_array, strict=True)
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number
    ]


def positions_in(seg: pydicom.Dataset, number: int) -> FloatArray:
    """Return the sorted LPS positions of a segment's voxels, from the object alone: [DicomPS3.3] C.7.6.2.1.1."""
    shared = seg.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    between_rows, between_columns = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    found = []
    for group, pixels in frames_of(seg, number):
        origin = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        rows, columns = np.nonzero(pixels)
        found.append(
            origin + np.outer(columns * between_columns, cosines[0]) + np.outer(rows * between_rows, cosines[1])
        )
    return sorted_positions(np.vstack(found))


def positions_of(voxels: BoolArray, geometry: Geometry) -> FloatArray:
    indices = np.argwhere(voxels)
    return sorted_positions((geometry.affine @ np.vstack([indices.T, np.ones(len(indices))]))[:3].T)


def sorted_positions(positions: FloatArray) -> FloatArray:
    rounded = np.round(positions, 2)
    return positions[np.lexsort(rounded.T)]


@pytest.mark.parametrize(("transposed", "row", "column"), list(product([False, True], repeat=3)))
def test_every_voxel_is_in_its_place_in_all_eight_orientations(
    scored_study: Scoring, transposed: bool, row: bool, column: bool
) -> None:
    # The eight include both directions of the slices.
    order = StorageOrder((0, 2, 1) if transposed else (0, 1, 2), (row != column, row, column))
    case = scored_study(stored=order)
    tissue = case.result.tissue

    seg = case.seg()

    source = pydicom.dcmread(next(case.folder.iterdir()))
    assert (seg.Rows, seg.Columns) == (source.Rows, source.Columns) == ((136, 165) if transposed else (165, 136))
    expected = [*(tissue.anatomy == label for label in (1, 2, 3)), tissue.edema]
    for number, voxels in enumerate(expected, start=1):
        here, there = positions_in(seg, number), positions_of(voxels, tissue.geometry)
        assert len(here) == len(there) > 0
        np.testing.assert_allclose(here, there, atol=0.02)
    # Smaller x is the patient's right: the lesion is on the right, like the right ilium.
    assert positions_in(seg, 4)[:, 0].mean() < positions_in(seg, 1)[:, 0].mean() < positions_in(seg, 3)[:, 0].mean()


def test_each_frame_refers_to_the_image_whose_pixels_it_marks(scored_study: Scoring) -> None:
    case = scored_study(stored=StorageOrder((0, 1, 2), (True, True, False)), reverse_instance_numbers=True)
    images = {(ds := pydicom.dcmread(path)).SOPInstanceUID: ds for path in case.folder.iterdir()}

    seg = case.seg()

    marked = 0
    for group, pixels in frames_of(seg, 4):
        image = images[group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
        assert image.ImagePositionPatient == group.PlanePositionSequence[0].ImagePositionPatient
        marked += int(pixels.sum())
        # The lesion is brighter than all marrow around it.
        assert (image.pixel_array[pixels.astype(bool)] > 200).all()
    assert marked == case.result.tissue.edema.sum() > 0


def test_segments_name_tissue_algorithm_and_scheme(scored_study: Scoring) -> None:
    seg = scored_study().seg()

    assert tuple(s.SegmentLabel for s in seg.SegmentSequence) == SEGMENTS
    assert seg.SegmentationType == "BINARY"
    for segment in seg.SegmentSequence:
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("known", "2.0")
        assert "ab" * 32 in algorithm.AlgorithmParameters
    sides = [
        segment.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning
        for segment in seg.SegmentSequence[1:3]
    ]
    assert sides == ["Right", "Left"]
    assert [i.CodingSchemeDesignator for i in seg.CodingSchemeIdentificationSequence] == ["99SPARCC"]
    assert "not for diagnostic use" in seg.ContentDescription


def test_a_study_without_edema_has_an_empty_segment_with_all_its_frames(scored_study: Scoring) -> None:
    case = scored_study(lesions=())
    assert case.result.score.total == 0

    seg = case.seg()

    frames = frames_of(seg, 4)
    assert len(frames) == 12 and not any(pixels.any() for _, pixels in frames)
    assert len(frames_of(seg, 1)) == 12


def test_a_lesion_of_one_slice_is_on_that_slice_only(scored_study: Scoring) -> None:
    case = scored_study()

    filled = [group for group, pixels in frames_of(case.seg(), 4) if pixels.any()]

    (group,) = filled
    source = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
    assert source == case.result.stir.series.sop_instance_uids[6]


def test_a_multiframe_source_is_referred_to_by_frame(scored_study: Scoring) -> None:
    case = scored_study(enhanced=True, stored=StorageOrder((0, 1, 2), (True, False, True)))
    tissue = case.result.tissue

    seg = case.seg()

    ilium = positions_of(tissue.anatomy == AnatomyLabel.RIGHT_ILIUM, tissue.geometry)
    np.testing.assert_allclose(positions_in(seg, 2), ilium, atol=0.02)
    (filled,) = [group for group, pixels in frames_of(seg, 4) if pixels.any()]
    reference = filled.DerivationImageSequence[0].SourceImageSequence[0]
    assert reference.ReferencedFrameNumber == case.result.stir.series.frame_numbers[6] == 12 - 6


def test_quadrants_are_segments_on_request(scored_study: Scoring) -> None:
    case = scored_study(quadrants=True)

    seg = case.seg()

    labels = [s.SegmentLabel for s in seg.SegmentSequence]
    assert labels[:4] == list(SEGMENTS) and len(labels) == 12
    number = labels.index("Right upper iliac quadrant") + 1
    lesion, quadrant = ({tuple(np.round(p, 1)) for p in positions_in(seg, n)} for n in (4, number))
    assert len(lesion & quadrant) > 0.5 * len(lesion)
    other = labels.index("Left upper iliac quadrant") + 1
    assert not lesion & {tuple(np.round(p, 1)) for p in positions_in(seg, other)}
