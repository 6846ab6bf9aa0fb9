"""The places of the reports are right on the stored images, and every finding has one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pydicom
import pytest
from skimage.draw import polygon2mask

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.dicom.output.stored_plane import TOLERANCE_PIXELS, StoredPlane
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.training.data.phantom_spec import Lesion
from sparcc_pipeline.volume import FloatArray, StorageOrder

from ..conftest import ONE_SLICE, ScoredStudy

Scoring = Callable[..., ScoredStudy]


def groups_of(report: pydicom.Dataset) -> list[pydicom.Dataset]:
    return list(report.ContentSequence[-1].ContentSequence)


def text_of(group: pydicom.Dataset) -> str:
    """Return the tracking identifier."""
    return str(next(i.TextValue for i in group.ContentSequence if i.ValueType == "TEXT"))


def tracking_uid(group: pydicom.Dataset) -> str:
    return next(i.UID for i in group.ContentSequence if i.ValueType == "UIDREF")


def places(group: pydicom.Dataset) -> Iterator[tuple[pydicom.Dataset, FloatArray]]:
    """Yield the reference to the image and the (n, 2) positions (column, row) of each place of a group."""
    for number in group.ContentSequence:
        for item in number.get("ContentSequence", ()) if number.ValueType == "NUM" else ():
            assert (item.ValueType, item.RelationshipType, item.GraphicType) == ("SCOORD", "INFERRED FROM", "POLYLINE")
            (image,) = item.ContentSequence
            assert image.RelationshipType == "SELECTED FROM"
            yield image.ReferencedSOPSequence[0], np.array(item.GraphicData).reshape(-1, 2)


def place_of(report: pydicom.Dataset, name: str) -> tuple[pydicom.Dataset, FloatArray]:
    (found,) = (place for group in groups_of(report) if text_of(group) == name for place in places(group))
    return found


@pytest.mark.parametrize(("transposed", "row", "column"), list(product([False, True], repeat=3)))
def test_the_outline_of_a_quadrant_is_around_its_lesion_on_the_stored_image(
    scored_study: Scoring, transposed: bool, row: bool, column: bool
) -> None:
    case = scored_study(stored=StorageOrder((0, 2, 1) if transposed else (0, 1, 2), (row, row, column)))
    images = {(ds := pydicom.dcmread(path)).SOPInstanceUID: ds for path in case.folder.iterdir()}

    score, volumes = case.reports()

    reference, edema = place_of(volumes, "bone marrow edema")
    pixels = images[reference.ReferencedSOPInstanceUID].pixel_array
    lesion = polygon2mask(pixels.shape, edema[:, ::-1] - 0.5)
    assert np.median(pixels[lesion]) > 200 and lesion.sum() == pytest.approx(case.result.tissue.edema.sum(), rel=0.2)
    reference_of_quadrant, outline = place_of(score, "right upper iliac quadrant, slice 7")
    quadrant = polygon2mask(pixels.shape, outline[:, ::-1] - 0.5)
    assert reference_of_quadrant == reference and (quadrant & lesion).sum() > 0.8 * lesion.sum()
    assert np.array_equal(outline[0], outline[-1]), "an outline is closed"
    _, line = place_of(score, "right sacroiliac joint, slice 7")
    assert np.linalg.norm(line[:, None] - outline[None], axis=2).min() < 3, "the quadrant is beside the joint line"


@pytest.mark.parametrize("enhanced", [False, True])
def test_every_finding_has_a_place_on_an_image_of_its_own_group(scored_study: Scoring, enhanced: bool) -> None:
    """OHIF joins groups of one tracking UID, and shows nothing of a report in which such a finding has no place."""
    case = scored_study(lesions=(), enhanced=enhanced)
    first = case.result.score.joints[0]
    blind = replace(first, edema=dict.fromkeys(Quadrant), intense=None, deep=None, height_mm=None, depth_mm=None)
    joints = {(j.slice_index, j.side): j for j in case.result.joints if (j.slice_index, j.side) != (4, first.side)}
    unseen = replace(
        case.result,
        score=replace(case.result.score, joints=(blind, *case.result.score.joints[1:])),
        joints=Joints(case.result.joints.geometry, joints),
    )
    case = replace(case, result=unseen)

    for report in (*case.reports(), case.reading()):
        found = defaultdict(list)
        for group in groups_of(report):
            own = [i.ReferencedSOPSequence[0] for i in group.ContentSequence if i.ValueType == "IMAGE"]
            for reference, points in places(group):
                assert report.SeriesNumber == 9103 or reference in own, text_of(group)
                assert ("ReferencedFrameNumber" in reference) is enhanced
                assert len(points) >= 2 and points.min() >= 0
                found[tracking_uid(group)].append(reference)
        assert set(found) == {tracking_uid(group) for group in groups_of(report)}
        for references in found.values():
            assert all(reference == references[0] for reference in references), "one finding is on one image"


def test_places_of_the_volumes_are_evidence(scored_study: Scoring) -> None:
    _, volumes = scored_study().reports()

    evidence = {
        instance.ReferencedSOPInstanceUID
        for series in volumes.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    used = {reference.ReferencedSOPInstanceUID for g in groups_of(volumes) for reference, _ in places(g)}
    assert used < evidence


def test_one_joint_on_one_slice_is_one_finding(scored_study: Scoring) -> None:
    report, _ = scored_study().reports()

    named = defaultdict(set)
    for group in groups_of(report):
        named[tracking_uid(group)].add(text_of(group))
    assert len(named) == 1 + 12
    quadrants = [
        f"right {level} {bone} quadrant, slice 7" for level in ("upper", "lower") for bone in ("iliac", "sacral")
    ]
    assert {"right sacroiliac joint, slice 7", *quadrants} in named.values()


def test_the_totals_are_on_the_slice_with_the_most_points(scored_study: Scoring) -> None:
    lesions = (Lesion(5, Side.LEFT, Quadrant.LOWER_SACRAL, depth_mm=5.0), *ONE_SLICE)
    case = scored_study(lesions=lesions)
    points = [sum(j.points for j in case.result.score.joints if j.slice == place) for place in range(6)]
    assert points.index(max(points)) == 2 and points[1] > 0

    for report in (case.reports()[0], case.reading()):
        reference, line = place_of(report, "SPARCC sacroiliac inflammation score")
        assert reference.ReferencedSOPInstanceUID == case.result.stir.series.sop_instance_uids[6]
        assert len(line) == 2 and line[0, 0] < line[1, 0]


def test_a_reading_marks_the_side_that_was_read(scored_study: Scoring) -> None:
    case = scored_study()
    rows, columns = case.header.size

    report = case.reading()

    _, right = place_of(report, "right sacroiliac joint, slice 5")
    _, left = place_of(report, "left sacroiliac joint, slice 5")
    assert (
        right.max(axis=0).tolist() == [columns / 2, 0.75 * rows] == pytest.approx([left[:, 0].min(), left[:, 1].max()])
    )


def test_a_simplified_outline_has_few_points_near_the_mask() -> None:
    rows, columns = np.indices((80, 90))
    disc = (rows - 40) ** 2 + (columns - 45) ** 2 < 30**2
    disc[2:5, 2:5] = True
    plane = StoredPlane((80, 90), (1.0, 1.0), (False, False), False)

    outline = plane.outline(disc)

    assert outline is not None and len(outline) < 60
    radius = np.linalg.norm(outline - [45.5, 40.5], axis=1)
    assert radius == pytest.approx(np.full(len(radius), 30.0), abs=1 + TOLERANCE_PIXELS)
    assert plane.outline(np.zeros_like(disc)) is None
