"""Outlines from DICOM Segmentations: found by code or by label, on the voxels that were marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from sparcc_pipeline.app.report.outputs import write_outputs
from sparcc_pipeline.app.results.extras import Extras
from sparcc_pipeline.app.results.score_document import score_document
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.app.study.config import load_config
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.saved_study import load_study
from sparcc_pipeline.app.study.score import Scored, score_study
from sparcc_pipeline.dicom.input.segments.outline import Wanted, read_outline
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.volume import StorageOrder

from ..conftest import KnownSegmenter, make_stir, make_tissue


@pytest.fixture(
    scope="module", params=[None, StorageOrder((0, 1, 2), (True, False, True))], ids=["as stored", "reversed"]
)
def scored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A score folder with the program's own segmentation of its edema."""
    folder = tmp_path_factory.mktemp("seg")
    write_mr_series(make_stir(), folder / "study", style="siemens", patient_id="P1", seed="seg", stored=request.param)
    outcome = score_study(
        folder / "study", Request(), lambda: KnownSegmenter(make_tissue()), lambda _: None, with_header=True
    )
    assert isinstance(outcome, Scored)
    (folder / "score").mkdir()
    run = Run(load_config(), Request(), utc_now())
    write_outputs(outcome, score_document(outcome, run), run, folder / "score", Extras(dicom=True))
    return folder / "score"


def code_of(file: Path, label: str) -> tuple[str, str]:
    for segment in pydicom.dcmread(file).SegmentSequence:
        if segment.SegmentLabel == label:
            code = segment.SegmentedPropertyTypeCodeSequence[0]
            return code.CodingSchemeDesignator, code.CodeValue
    raise AssertionError(label)


@pytest.mark.parametrize("by", ["code", "label"])
def test_the_outline_is_the_edema_that_was_marked(scored: Path, by: str) -> None:
    segmented, _ = load_study(scored)
    stir, label = segmented.study.stir, "Bone marrow edema"
    code = code_of(scored / "seg.dcm", label) if by == "code" else ("X", "Y")
    wanted = Wanted(code, frozenset() if by == "code" else frozenset([label]))

    found = read_outline(scored / "seg.dcm", stir.series.sop_instance_uids, stir.storage, wanted)

    assert segmented.tissue.edema.any()
    np.testing.assert_array_equal(found, segmented.tissue.edema)


def test_another_segment_or_series_is_refused(scored: Path) -> None:
    segmented, _ = load_study(scored)
    stir, file = segmented.study.stir, scored / "seg.dcm"
    wanted = Wanted(code_of(file, "Bone marrow edema"))

    with pytest.raises(InputError, match="name the label of the edema with --outline-label"):
        read_outline(file, stir.series.sop_instance_uids, stir.storage, Wanted(("X", "Y")))
    with pytest.raises(InputError, match="make the segmentation on the STIR series"):
        read_outline(file, tuple(f"1.2.{n}" for n in range(len(stir.signal))), stir.storage, wanted)
    with pytest.raises(InputError, match="expected a DICOM Segmentation"):
        read_outline(scored / "score.json", stir.series.sop_instance_uids, stir.storage, wanted)
