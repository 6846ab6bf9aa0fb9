"""`sparcc inspect`: what a source holds and what scoring would take, without scoring it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pydicom
import pytest
from typer.testing import CliRunner

from sparcc_pipeline.app.cli.main import app
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.inspection import inspect_source, inspection_text
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.imaging.nifti import write_nifti

from ..conftest import make_stir
from ..foreign import SCOUT, add, write_known


@pytest.fixture
def study(tmp_path: Path) -> Path:
    paths = write_known(tmp_path / "study")
    add(paths, "scout.dcm", **SCOUT)
    write_mr_series(
        make_stir(),
        tmp_path / "study" / "t1",
        style="siemens",
        patient_id="P1",
        seed="foreign",
        contrast="t1",
        series_number=4,
    )
    (tmp_path / "study" / "README.txt").write_text("no image")
    (tmp_path / "study" / "IM_0099.dcm").write_bytes(b"")
    return tmp_path / "study"


def test_everything_in_a_source_is_listed_with_its_use(study: Path) -> None:
    found = inspect_source(study, Request())
    assert (found.files, found.studies, found.refusal) == (31, 1, None)
    assert [(s.kind, s.use) for s in found.series] == [
        ("STIR", "would be scored"),
        ("other", "not used"),
        ("T1", "T1 beside it"),
    ]
    assert found.taken == found.series[0].series_uid and found.t1 == found.series[2].series_uid
    assert [each.name for each in found.unreadable] == ["IM_0099.dcm"] and found.not_images == ("README.txt",)
    stir = found.series[0]
    assert (stir.plane, stir.slices, stir.spacing_mm, stir.rows) == ("semicoronal", 14, 4.0, 110)
    assert stir.acquisition["inversion_time_ms"] == 150 and [each.name for each in stir.left_out] == ["scout.dcm"]


def test_the_text_names_the_series_its_oddities_and_the_choice(study: Path) -> None:
    text = inspection_text(inspect_source(study, Request()))
    for words in (
        "STIR",
        "would be scored",
        "left out: scout.dcm",
        "IM_0099.dcm: empty",
        "README.txt",
        "posterior end",
    ):
        assert words in text


def test_a_refusal_is_the_sentence_of_scoring(study: Path) -> None:
    for path in study.glob("IM_000*.dcm"):
        ds = pydicom.dcmread(path)
        ds.ImagePositionPatient = None
        ds.save_as(path)
    shutil.rmtree(study / "t1")
    found = inspect_source(study, Request())
    assert found.taken is None and "ImagePositionPatient" in (found.refusal or "")
    assert "Nothing would be scored: expected" in inspection_text(found)


def test_no_name_number_or_date_of_the_patient_comes_out(study: Path) -> None:
    for path in study.rglob("*.dcm"):
        if path.stat().st_size:
            ds = pydicom.dcmread(path)
            ds.PatientID, ds.PatientName = "Z4711", "Beeblebrox^Zaphod"
            ds.StudyDate, ds.SeriesDescription = "20260314", "Beeblebrox STIR"
            ds.save_as(path)
    found = inspect_source(study, Request())
    out = json.dumps(found.to_plain()) + inspection_text(found)
    assert not any(word in out for word in ("4711", "eeblebrox", "20260314"))


def test_a_nifti_file_alone_or_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "n").mkdir()
    write_nifti(make_stir().signal, make_stir(), tmp_path / "n" / "a.nii.gz")
    for source in (tmp_path / "n", tmp_path / "n" / "a.nii.gz"):
        assert "would be scored" in inspection_text(inspect_source(source, Request()))


def test_the_command_prints_text_or_json(study: Path) -> None:
    runner = CliRunner()
    assert "would be scored" in runner.invoke(app, ["inspect", str(study)]).output
    shown = runner.invoke(app, ["inspect", str(study), "--json"])
    assert shown.exit_code == 0 and json.loads(shown.output)["schema"] == "sparcc-inspect/1"
