"""The same result has the same UIDs, a changed one has others; reports, pictures and presentation states are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pydicom
import pytest

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.dicom.output.codes import read_codes
from sparcc_pipeline.dicom.output.results import Options
from sparcc_pipeline.dicom.output.sr_groups import Uncertainty
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.training.data.phantom_spec import Lesion
from sparcc_pipeline.volume import StorageOrder

from ..conftest import CODES_FILE, ONE_SLICE, PDF, ScoredStudy

Scoring = Callable[..., ScoredStudy]


def uids(*objects: pydicom.Dataset) -> set[str]:
    return {ds.SOPInstanceUID for ds in objects} | {ds.SeriesInstanceUID for ds in objects}


def tracking_uids(seg: pydicom.Dataset) -> list[str]:
    return [segment.TrackingUID for segment in seg.SegmentSequence]


def test_the_same_result_has_the_same_uids_and_is_the_same_object(scored_study: Scoring) -> None:
    case = scored_study()

    first, again = case.files(), case.files()

    overlays = [f"overlay/slice_{i:02d}.dcm" for i in range(5, 11)]
    reports = ["score.sr.dcm", "volumes.sr.dcm", "report.pdf.dcm"]
    assert list(first) == ["seg.dcm", *reports, "overlay/cover.dcm", *overlays, "presentation_1.dcm"]
    assert len(uids(*first.values())) == 12 + 6
    for name in first:
        assert first[name].to_json_dict() == again[name].to_json_dict(), name


@pytest.mark.parametrize(
    "changed", ["software_version", "model_version", "model_sha256", "settings_sha256", "input_sha256"]
)
def test_another_origin_has_other_uids_and_the_same_findings(scored_study: Scoring, changed: str) -> None:
    # All objects share one fingerprint (the first test), so the segmentation is enough.
    case = scored_study()
    before, after = case.seg(), case.seg(**{changed: "12" * 32 if "sha256" in changed else "9.9"})

    assert not uids(before) & uids(after)
    assert tracking_uids(before) == tracking_uids(after)


def test_other_content_has_other_uids(scored_study: Scoring) -> None:
    case = scored_study()
    other = np.zeros_like(case.result.pictures[0])
    changes = [
        replace(case.result, pictures=(*case.result.pictures[:5], other)),
        replace(case.result, cover=other),
        replace(case.result, options=replace(case.result.options, quadrants=True)),
        replace(case.result, options=replace(case.result.options, pdf=b"%PDF-1.7 another report")),
        replace(case.result, uncertainty=Uncertainty(expected=1.5)),
        replace(case.result, window=(0.0, 400.0)),
    ]

    found = [uids(replace(case, result=result).seg()) for result in (case.result, *changes)]

    assert len(set.union(*found)) == sum(map(len, found))


def groups_of(report: pydicom.Dataset) -> list[pydicom.Dataset]:
    return list(report.ContentSequence[-1].ContentSequence)


def named(group: pydicom.Dataset, meaning: str) -> pydicom.Dataset:
    item: pydicom.Dataset
    (item,) = (i for i in group.ContentSequence if i.ConceptNameCodeSequence[0].CodeMeaning == meaning)
    return item


def tracked(report: pydicom.Dataset, identifier: str) -> pydicom.Dataset:
    group: pydicom.Dataset
    (group,) = (g for g in groups_of(report) if named(g, "Tracking Identifier").TextValue == identifier)
    return group


def test_the_report_has_a_group_for_the_totals_and_each_item(scored_study: Scoring) -> None:
    case = scored_study()

    report = case.files()["score.sr.dcm"]

    assert len(groups_of(report)) == 1 + 12 + 48
    assert (report.PreliminaryFlag, report.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    assert "research only" in report.SeriesDescription
    total = named(groups_of(report)[0], "SPARCC sacroiliac inflammation score")
    assert total.MeasuredValueSequence[0].NumericValue == case.result.score.total == 2
    observer = {i.ConceptNameCodeSequence[0].CodeMeaning: i for i in report.ContentSequence}
    assert observer["Observer Type"].ConceptCodeSequence[0].CodeMeaning == "Device"
    quadrant = tracked(report, "right upper iliac quadrant, slice 7")
    assert named(quadrant, "Bone marrow edema").ConceptCodeSequence[0].CodeMeaning == "Present"
    source = named(quadrant, "Source of Measurement").ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert source == case.result.stir.series.sop_instance_uids[6]
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert [i.ReferencedSOPInstanceUID for i in evidence] == list(case.result.stir.series.sop_instance_uids[4:10])


def test_not_evaluable_is_neither_present_nor_absent(scored_study: Scoring) -> None:
    case = scored_study()
    first = case.result.score.joints[0]
    blind = replace(first, edema=dict.fromkeys(Quadrant), intense=None, deep=None, height_mm=None, depth_mm=None)
    score = replace(case.result.score, joints=(blind, *case.result.score.joints[1:]))

    report = replace(case, result=replace(case.result, score=score)).files()["score.sr.dcm"]

    joint = tracked(report, "right sacroiliac joint, slice 5")
    assert named(joint, "Deep bone marrow edema").ConceptCodeSequence[0].CodeValue == "NOT-EVALUABLE"
    measured = [i.ConceptNameCodeSequence[0].CodeMeaning for i in joint.ContentSequence if i.ValueType == "NUM"]
    assert measured == ["Slice index from 0"]
    quadrant = tracked(report, "right upper iliac quadrant, slice 5")
    assert named(quadrant, "Bone marrow edema").ConceptCodeSequence[0].CodeValue == "NOT-EVALUABLE"
    assert not [i for i in quadrant.ContentSequence if i.ValueType == "NUM"]


def test_a_score_of_zero_is_written(scored_study: Scoring) -> None:
    files = scored_study(lesions=()).files()

    total = named(groups_of(files["score.sr.dcm"])[0], "SPARCC sacroiliac inflammation score")
    assert total.MeasuredValueSequence[0].NumericValue == 0
    volume = named(tracked(files["volumes.sr.dcm"], "bone marrow edema"), "Volume")
    assert volume.MeasuredValueSequence[0].NumericValue == 0


def test_known_uncertainty_is_written(scored_study: Scoring) -> None:
    case = scored_study()
    sure = replace(case.result, uncertainty=Uncertainty(2.25, (1.0, 4.0), 0.125))

    without = groups_of(case.files()["score.sr.dcm"])[0]
    totals = groups_of(replace(case, result=sure).files()["score.sr.dcm"])[0]

    assert named(totals, "Probability of a SPARCC score below 2").MeasuredValueSequence[0].NumericValue == 0.125
    assert named(totals, "Expected SPARCC score").MeasuredValueSequence[0].NumericValue == 2.25
    assert len(totals.ContentSequence) == len(without.ContentSequence) + 4


def test_volumes_refer_to_their_segments(scored_study: Scoring) -> None:
    case = scored_study()

    files = case.files()

    for number, group in enumerate(groups_of(files["volumes.sr.dcm"]), start=1):
        reference = named(group, "Referenced Segment").ReferencedSOPSequence[0]
        assert reference.ReferencedSOPInstanceUID == files["seg.dcm"].SOPInstanceUID
        assert reference.ReferencedSegmentNumber == number
    expected = case.result.tissue.edema.sum() * 4.0 * 1.1 * 1.2
    volume = named(tracked(files["volumes.sr.dcm"], "bone marrow edema"), "Volume")
    assert volume.MeasuredValueSequence[0].NumericValue == pytest.approx(expected, rel=1e-3)
    edema = files["seg.dcm"].SegmentSequence[3]
    assert (edema.TrackingUID) == named(
        tracked(files["volumes.sr.dcm"], "bone marrow edema"), "Tracking Unique Identifier"
    ).UID


def test_pictures_become_a_series_of_secondary_captures(scored_study: Scoring) -> None:
    case = scored_study()

    cover, *captures = (ds for name, ds in case.files().items() if name.startswith("overlay/"))

    assert len({ds.SeriesInstanceUID for ds in (cover, *captures)}) == 1
    assert [ds.InstanceNumber for ds in (cover, *captures)] == [1, 2, 3, 4, 5, 6, 7]
    np.testing.assert_array_equal(cover.pixel_array, case.result.cover)
    uids_of_six = list(case.result.stir.series.sop_instance_uids[4:10])
    assert [image.ReferencedSOPInstanceUID for image in cover.SourceImageSequence] == uids_of_six
    for index, ds in zip(range(4, 10), captures, strict=True):
        np.testing.assert_array_equal(ds.pixel_array, case.result.pictures[0])
        assert ds.SourceImageSequence[0].ReferencedSOPInstanceUID == case.result.stir.series.sop_instance_uids[index]
        assert (ds.PhotometricInterpretation, ds.BurnedInAnnotation) == ("RGB", "NO")
        assert list(ds.PixelSpacing) == [0.25, 0.25]


@pytest.mark.parametrize(("transposed", "row", "column"), list(product([False, True], repeat=3)))
def test_the_presentation_state_draws_on_the_stored_image(
    scored_study: Scoring, transposed: bool, row: bool, column: bool
) -> None:
    order = StorageOrder((0, 2, 1) if transposed else (0, 1, 2), (row, row, column))
    case = scored_study(stored=order)
    images = {(ds := pydicom.dcmread(path)).SOPInstanceUID: ds for path in case.folder.iterdir()}

    state = case.presentation()

    outlines = [a for a in state.GraphicAnnotationSequence if a.GraphicLayer == "EDEMA"]
    (annotation,) = outlines
    image = images[annotation.ReferencedImageSequence[0].ReferencedSOPInstanceUID]
    points = np.array(annotation.GraphicObjectSequence[0].GraphicData).reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    inside = image.pixel_array[int(low[1] + 1) : int(high[1]), int(low[0] + 1) : int(high[0])]
    assert np.median(inside) > 200 and inside.size > 40
    labels = [a for a in state.GraphicAnnotationSequence if a.GraphicLayer == "POINTS"]
    texts = [text.UnformattedTextValue for annotation in labels for text in annotation.TextObjectSequence]
    assert texts.count("1") == 1 and "I 0  D 1" in texts


def test_images_with_their_own_rescale_get_their_own_presentation_state(scored_study: Scoring) -> None:
    def change(paths: list[Path]) -> None:
        ds = pydicom.dcmread(paths[6])
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = "1", "-5", "US"
        ds.save_as(paths[6])

    files = scored_study(change=change).files()

    states = [files[name] for name in files if name.startswith("presentation")]
    assert [len(s.ReferencedSeriesSequence[0].ReferencedImageSequence) for s in states] == [5, 1]
    assert "RescaleIntercept" not in states[0] and states[1].RescaleIntercept == -5


def test_a_multiframe_source_has_all_results(scored_study: Scoring) -> None:
    case = scored_study(lesions=(*ONE_SLICE, Lesion(7, Side.LEFT, Quadrant.LOWER_SACRAL)), enhanced=True)

    files = case.files()

    frames = files["presentation_1.dcm"].ReferencedSeriesSequence[0].ReferencedImageSequence[0].ReferencedFrameNumber
    assert list(frames) == [5, 6, 7, 8, 9, 10]
    quadrant = tracked(files["score.sr.dcm"], "left lower sacral quadrant, slice 8")
    assert named(quadrant, "Source of Measurement").ReferencedSOPSequence[0].ReferencedFrameNumber == 8


def test_every_private_code_is_in_the_published_table(scored_study: Scoring) -> None:
    table = read_codes(CODES_FILE.read_text())
    published = {(value, meaning) for scheme, value, meaning in table.codes.values() if scheme == "99SPARCC"}
    used: set[tuple[str, str]] = set()

    def collect(ds: pydicom.Dataset, element: pydicom.DataElement) -> None:
        if element.keyword == "CodingSchemeDesignator" and element.value == "99SPARCC" and "CodeValue" in ds:
            used.add((ds.CodeValue, ds.CodeMeaning))

    for ds in scored_study().files().values():
        ds.walk(collect)

    assert used and used <= published


def test_a_damaged_table_of_codes_is_refused() -> None:
    text = CODES_FILE.read_text()

    for damaged in ("", text.replace("[standard]", "[other]"), text.replace('"SPARCC-TOTAL"', f'"{"X" * 17}"')):
        with pytest.raises(ConfigError, match=r"codes\.toml"):
            read_codes(damaged)
    with pytest.raises(ConfigError, match="no_such_code"):
        read_codes(text)["no_such_code"]


def test_the_report_is_encapsulated(scored_study: Scoring) -> None:
    case = scored_study()

    document = case.files()["report.pdf.dcm"]

    assert document.EncapsulatedDocument[: document.EncapsulatedDocumentLength] == PDF
    assert len(document.EncapsulatedDocument) == len(PDF) + 1
    assert document.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert document.StudyInstanceUID == case.result.stir.series.study_uid
    assert len(document.SourceInstanceSequence) == 6


def test_presentation_states_and_the_report_are_options(scored_study: Scoring) -> None:
    case = scored_study()

    files = replace(case, result=replace(case.result, options=Options())).files()

    assert not [name for name in files if name.startswith(("presentation", "report"))]


def test_series_have_short_names_that_differ_at_once(scored_study: Scoring) -> None:
    files = scored_study().files().values()

    names = {ds.SeriesDescription for ds in files}
    assert len(names) == 6 == len({name[:14] for name in names})
    assert all(name.endswith("(research only)") and len(name) <= 32 for name in names)


def test_the_ilia_have_colors_of_their_own(scored_study: Scoring) -> None:
    colors = [tuple(s.RecommendedDisplayCIELabValue) for s in scored_study().seg().SegmentSequence]

    assert len(set(colors)) == 4
