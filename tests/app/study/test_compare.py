"""`sparcc compare`: the visits that are compared, the errors, and the files that remain."""

from __future__ import annotations

import csv
import json
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import UID
from referencing import Registry, Resource
from scipy import ndimage

from sparcc_pipeline.app.results.change_document import CHANGE_COLUMNS, CHANGE_SCHEMA_FILE
from sparcc_pipeline.app.results.score_document import SCHEMA_FILE
from sparcc_pipeline.app.study import installation
from sparcc_pipeline.app.study.saved_study import load_study, save_study
from sparcc_pipeline.app.study.score import Scored
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.rigid import RigidTransform, moved_geometry, rotation_about
from sparcc_pipeline.sparcc.joint import Joints, find_joints
from sparcc_pipeline.sparcc.uncertainty import Calibration
from sparcc_pipeline.volume import TissueMaps, Volume

from ..cli.test_main import Ended, Sparcc
from ..conftest import EDEMA, MARROW, make_stir, make_tissue

MOTION = RigidTransform.about(np.array([0.0, 0.0, 0.0]), rotation_about(2, 5), np.array([25.0, -12.0, 18.0]))
HEALED = (5, slice(32, 42), slice(38, 48))
"""The deep lesion of the right upper ilium: two points."""

RESULT = ["change.csv", "change.html", "change.json", "run.toml"]


@cache
def textured() -> Volume:
    """The known study in tissue of smooth random signal, as living tissue is: a registration needs it."""
    stir, tissue = make_stir(), make_tissue()
    noise = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=stir.signal.shape), (1.0, 3.0, 3.0))
    outside = (tissue.anatomy == 0) & ~tissue.vessel
    signal = stir.signal + np.where(outside, 150 + 100 * noise / noise.std(), 30 * noise / noise.std())
    return replace(stir, signal=signal.clip(0).astype(np.float32))


def visit(
    folder: Path,
    acquired: str,
    *,
    healed: bool = False,
    mirrored: bool = False,
    patient: str = "P0042",
    motion: RigidTransform = MOTION,
    seed: str = "visit",
) -> Path:
    """One time point as DICOM."""
    stir = textured()
    signal: NDArray[Any] = stir.signal.copy()
    if healed:
        signal[HEALED] = MARROW
    noise = np.random.default_rng(zlib.crc32(f"{acquired} {seed}".encode())).normal(0, 2, signal.shape)
    signal = (signal[:, :, ::-1] if mirrored else signal) + noise
    volume = Volume(signal.clip(0).astype(np.float32), moved_geometry(stir.geometry, motion), stir.series)
    write_mr_series(volume, folder, style="siemens", patient_id=patient, seed=seed, acquired=acquired)
    return folder


@dataclass
class SignalSegmenter:
    """Knows the bones; finds edema of the healed lesion by its signal; remembers the volumes it got."""

    seen: list[str | None] = field(default_factory=list)
    calibration: Calibration | None = None

    def calibration_of(self, tissue: TissueMaps) -> Calibration | None:
        return self.calibration

    @property
    def provenance(self) -> Mapping[str, str]:
        return {"name": "known", "version": "1.0", "sha256": "ab" * 32, "engine": "onnx"}

    def segment(self, volume: Volume, t1: Volume | None = None) -> tuple[TissueMaps, Joints]:
        self.seen.append(volume.series.acquired)
        tissue = make_tissue()
        probability = tissue.edema_probability.copy()
        if np.median(volume.signal[HEALED]) < (MARROW + EDEMA) / 2:
            probability[HEALED] = 0
        seen = replace(tissue, geometry=volume.geometry, edema_probability=probability)
        return seen, find_joints(seen.anatomy, seen.geometry)


class Compare(Sparcc):
    """Calls `sparcc` with a segmenter that looks at the signal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(monkeypatch, capsys)
        self.known = SignalSegmenter()
        self.segmenter = self.known
        monkeypatch.setattr(installation, "load_installed_segmenter", self._load)


@pytest.fixture
def sparcc(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Compare:
    return Compare(monkeypatch, capsys)


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    return visit(tmp_path / "baseline", "2026-03-01", motion=RigidTransform())


@pytest.fixture
def follow_up(tmp_path: Path) -> Path:
    return visit(tmp_path / "week12", "2026-05-24", healed=True)


def change_of(ended: Ended, out: Path) -> dict[str, Any]:
    """`change.json` of a run that should have worked."""
    assert (ended.code, ended.err) == (0, "")
    document: dict[str, Any] = json.loads((out / "change.json").read_text())
    return document


def test_a_follow_up_is_compared_on_the_same_anatomy(
    sparcc: Compare, baseline: Path, follow_up: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    document = change_of(sparcc("compare", baseline, follow_up, "--out", out), out)
    [compared] = document["follow_ups"]
    assert sorted(path.name for path in out.iterdir()) == RESULT
    assert (document["baseline"]["score"]["total"], compared["score"]["total"]) == (4, 2)
    change = compared["change"]
    assert (change["total"], change["edema"], change["intensity"], change["depth"]) == (-2, -1, 0, -1)
    assert (change["direction"], change["important"], change["detectable"]) == ("better", False, False)
    assert change["probability"] is None
    assert compared["days"] == 84
    assert [m["follow_up"] for m in compared["matched_slices"]] == [4, 5, 6, 7, 8, 9]
    assert compared["score"]["chosen_by"] == "baseline"
    matrix = np.array(compared["registration"]["baseline_to_follow_up_lps"])
    assert RigidTransform.of(matrix[:3, :3], matrix[:3, 3]).distance_mm(MOTION, np.array([[0.0, 0.0, 0.0]]))[0] < 1.5
    [healed] = [joint for joint in change["joints"] if joint["points"]]
    assert (healed["slice"], healed["side"], healed["edema"]["upper_iliac"], healed["deep"]) == (1, "right", -1, -1)


def test_the_files_keep_their_published_form(sparcc: Compare, baseline: Path, follow_up: Path, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.mkdir()
    ended = sparcc("compare", baseline, follow_up, junk, "--out", tmp_path / "out")
    assert ended.code == 3
    document = json.loads((tmp_path / "out" / "change.json").read_text())
    score = Resource.from_contents(json.loads(SCHEMA_FILE.read_text()))
    schema = json.loads(CHANGE_SCHEMA_FILE.read_text())
    registry: Any = Registry().with_resource("urn:sparcc-pipeline:sparcc-score:1", score)
    jsonschema.Draft202012Validator(schema, registry=registry).validate(document)
    first, second = csv.DictReader((tmp_path / "out" / "change.csv").read_text().splitlines())
    assert tuple(first) == CHANGE_COLUMNS
    assert (first["change_total"], first["s1_right_deep"], first["change_important"]) == ("-2", "-1", "0")
    assert (second["status"], second["change_total"], second["total"]) == ("rejected", "", "")
    assert "expected DICOM images" in second["reason"]


def test_finished_scores_give_the_same_change_without_segmenting_again(
    sparcc: Compare, baseline: Path, follow_up: Path, tmp_path: Path
) -> None:
    studies = change_of(sparcc("compare", baseline, follow_up, "--out", tmp_path / "a"), tmp_path / "a")
    for name, study in (("s0", baseline), ("s1", follow_up)):
        assert sparcc("score", study, "--out", tmp_path / name).code == 0
    sparcc.known.seen.clear()
    scores = change_of(sparcc("compare", tmp_path / "s0", tmp_path / "s1", "--out", tmp_path / "b"), tmp_path / "b")
    assert sparcc.known.seen == []
    for key in ("change", "registration", "matched_slices", "days", "warnings"):
        assert scores["follow_ups"][0][key] == studies["follow_ups"][0][key]
    assert scores["baseline"]["score"]["joints"] == studies["baseline"]["score"]["joints"]


def test_slices_chosen_when_the_baseline_was_scored_are_kept(
    sparcc: Compare, baseline: Path, follow_up: Path, tmp_path: Path
) -> None:
    assert sparcc("score", baseline, "--slices", "4-9", "--out", tmp_path / "s0").code == 0
    document = change_of(sparcc("compare", tmp_path / "s0", follow_up, "--out", tmp_path / "a"), tmp_path / "a")
    assert [s["slice_index"] for s in document["baseline"]["score"]["slices"]] == [3, 4, 5, 6, 7, 8]
    assert [m["follow_up"] for m in document["follow_ups"][0]["matched_slices"]] == [3, 4, 5, 6, 7, 8]
    again = change_of(
        sparcc("compare", tmp_path / "s0", follow_up, "--slices", "6-11", "--out", tmp_path / "b"), tmp_path / "b"
    )
    assert [m["baseline"] for m in again["follow_ups"][0]["matched_slices"]] == [5, 6, 7, 8, 9, 10]


def test_a_saved_study_is_the_study(scored: Scored, sparcc: Compare, study: Path, tmp_path: Path) -> None:
    assert sparcc("score", study, "--out", tmp_path / "out").code == 0
    loaded, six = load_study(tmp_path / "out")
    stir, saved = scored.study.stir, loaded.study.stir
    np.testing.assert_array_equal(saved.signal, stir.signal)
    assert (saved.geometry, saved.storage, six.indices) == (stir.geometry, stir.storage, scored.score.slices.indices)
    assert (saved.series.person, saved.series.sop_instance_uids) == (stir.series.person, stir.series.sop_instance_uids)
    np.testing.assert_array_equal(loaded.tissue.vessel, scored.tissue.vessel)
    np.testing.assert_array_equal(loaded.tissue.anatomy, scored.tissue.anatomy)
    assert all(getattr(loaded.tissue, name) is None for name in ("csf", "disc", "marrow_at_height"))


def test_a_saved_study_keeps_its_other_references(scored: Scored, tmp_path: Path) -> None:
    vessel, shape = scored.tissue.vessel, scored.tissue.geometry.shape
    heights = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape[:2])
    tissue = replace(scored.tissue, csf=vessel, disc=~vessel, marrow_at_height=heights)
    save_study(replace(scored, tissue=tissue), tmp_path / "study.npz")
    content = {"slices": [{"slice_index": scored.score.slices.first}] * 6, "chosen_by": "user"}
    (tmp_path / "score.json").write_text(json.dumps(content))
    loaded, _ = load_study(tmp_path)

    for name in ("csf", "disc", "marrow_at_height"):
        np.testing.assert_array_equal(getattr(loaded.tissue, name), getattr(tissue, name))


def test_each_visit_is_segmented_once_and_alone(
    sparcc: Compare, baseline: Path, follow_up: Path, tmp_path: Path
) -> None:
    """What a visit's maps and own score are does not depend on its place in the order."""
    later = visit(tmp_path / "week24", "2026-08-16", seed="later")
    change_of(sparcc("compare", baseline, follow_up, later, "--out", tmp_path / "a"), tmp_path / "a")
    assert len(sparcc.known.seen) == 3
    a = json.loads((tmp_path / "a" / "change.json").read_text())
    b = change_of(sparcc("compare", baseline, later, follow_up, "--out", tmp_path / "b"), tmp_path / "b")
    for first, second in zip(a["follow_ups"], reversed(b["follow_ups"]), strict=True):
        assert first["score"]["joints"] == second["score"]["joints"]
        assert first["registration"] == second["registration"]


def test_another_person_is_refused_unless_it_is_known_to_be_the_same(
    sparcc: Compare, baseline: Path, tmp_path: Path
) -> None:
    other = visit(tmp_path / "other", "2026-05-24", patient="P0077")
    ended = sparcc("compare", baseline, other, "--out", tmp_path / "out")
    assert (ended.code, (tmp_path / "out").exists()) == (3, False)
    assert "another patient identifier" in ended.err
    assert "P00" not in ended.err
    assert len(sparcc.known.seen) == 1  # refused before the slow work
    out = tmp_path / "same"
    document = change_of(sparcc("compare", baseline, other, "--same-person", "--out", out), out)
    assert any("identifiers differ" in warning for warning in document["follow_ups"][0]["warnings"])


def test_the_same_study_twice_is_refused(sparcc: Compare, baseline: Path, tmp_path: Path) -> None:
    ended = sparcc("compare", baseline, baseline, "--out", tmp_path / "out")
    assert ended.code == 3
    assert "the same images as baseline" in ended.err


def test_a_copy_under_new_uids_and_dates_is_the_same_study(sparcc: Compare, baseline: Path, tmp_path: Path) -> None:
    for number, file in enumerate(sorted((copy := Path(shutil.copytree(baseline, tmp_path / "copy"))).iterdir())):
        header = pydicom.dcmread(file)
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.3.{number}")
        header.StudyInstanceUID, header.SeriesInstanceUID, header.AcquisitionDate = "1.2.3", "1.2.4", "20260901"
        header.save_as(file)
    assert "the same images as baseline" in sparcc("compare", baseline, copy, "--out", tmp_path / "out").err


def test_swapped_dates_are_reported(sparcc: Compare, baseline: Path, follow_up: Path, tmp_path: Path) -> None:
    document = change_of(sparcc("compare", follow_up, baseline, "--out", tmp_path / "out"), tmp_path / "out")
    [compared] = document["follow_ups"]
    assert compared["days"] == -84
    assert any("84 days before the baseline: are the two swapped?" in warning for warning in compared["warnings"])


def test_a_mirrored_follow_up_is_an_error_and_not_a_change(sparcc: Compare, baseline: Path, tmp_path: Path) -> None:
    flipped = visit(tmp_path / "flipped", "2026-05-24", mirrored=True)
    ended = sparcc("compare", baseline, flipped, "--out", tmp_path / "out")
    assert (ended.code, (tmp_path / "out").exists()) == (4, False)
    assert "mirrored" in ended.err


def test_one_bad_follow_up_does_not_cost_the_others(
    sparcc: Compare, baseline: Path, follow_up: Path, tmp_path: Path
) -> None:
    flipped = visit(tmp_path / "flipped", "2026-05-24", mirrored=True, seed="flipped")
    ended = sparcc("compare", baseline, flipped, follow_up, "--out", tmp_path / "out")
    assert ended.code == 4
    bad, good = json.loads((tmp_path / "out" / "change.json").read_text())["follow_ups"]
    assert (bad["status"], bad["reason_kind"], bad["score"], bad["change"]) == ("failed", "Registration", None, None)
    assert (good["name"], good["status"], good["change"]["total"]) == ("Follow-up 2", "compared", -2)


def test_a_baseline_without_score_ends_the_comparison(sparcc: Compare, follow_up: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = sparcc("compare", tmp_path / "empty", follow_up, "--out", tmp_path / "out")
    assert (ended.code, (tmp_path / "out").exists(), sparcc.known.seen) == (3, False, [])
    assert "baseline: expected DICOM images" in ended.err


@pytest.mark.parametrize("fault", ["cut off", "missing", "no score"])
def test_a_damaged_score_folder_is_refused_with_what_to_do(
    sparcc: Compare, baseline: Path, follow_up: Path, tmp_path: Path, fault: str
) -> None:
    scored = tmp_path / "s1"
    assert sparcc("score", follow_up, "--out", scored).code == 0
    if fault == "cut off":
        (scored / "study.npz").write_bytes((scored / "study.npz").read_bytes()[:5000])
    elif fault == "missing":
        (scored / "study.npz").unlink()
    else:
        (scored / "score.json").write_text("{}")
    ended = sparcc("compare", baseline, scored, "--out", tmp_path / "out")
    assert ended.code == 3
    assert "follow-up 1: expected a finished score" in ended.err
    assert "score the study again" in ended.err


def test_one_study_is_no_comparison(sparcc: Compare, baseline: Path, tmp_path: Path) -> None:
    assert sparcc("compare", baseline, "--out", tmp_path / "out").code == 2


def test_an_earlier_change_is_replaced_by_force_only_and_a_score_never(
    sparcc: Compare, baseline: Path, follow_up: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    change_of(sparcc("compare", baseline, follow_up, "--out", out), out)
    assert sparcc("compare", baseline, follow_up, "--out", out).code == 6
    change_of(sparcc("compare", baseline, follow_up, "--out", out, "--force"), out)
    assert sparcc("score", baseline, "--out", tmp_path / "s0").code == 0
    assert sparcc("compare", baseline, follow_up, "--out", tmp_path / "s0", "--force").code == 6
    assert (tmp_path / "s0" / "score.json").is_file()


def test_json_prints_only_the_document(sparcc: Compare, baseline: Path, follow_up: Path, tmp_path: Path) -> None:
    ended = sparcc("compare", baseline, follow_up, "--out", tmp_path / "out", "--json")
    assert json.loads(ended.out) == json.loads((tmp_path / "out" / "change.json").read_text())


def test_nothing_written_names_the_person_or_the_place(
    sparcc: Compare, baseline: Path, follow_up: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("page_date = false\n")
    change_of(sparcc("compare", baseline, follow_up, "--out", tmp_path / "out", "--config", settings), tmp_path / "out")
    for file in (tmp_path / "out").iterdir():
        text = file.read_text()
        for word in ("P0042", "week12", str(tmp_path), "2026-03-01", "20260301", "2026-05-24"):
            assert word not in text, (file.name, word)
