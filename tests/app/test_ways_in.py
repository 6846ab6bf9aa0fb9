"""One study is read alike by every way in: score, batch, inbox of the night, node of the night, import of readings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sparcc_pipeline.app.batch import task as batch_task
from sparcc_pipeline.app.batch.sources import find_sources
from sparcc_pipeline.app.batch.table import batch_csv, batch_parquet, sources_csv
from sparcc_pipeline.app.batch.task import StudyTask, score_task
from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.app.nightly.intake.identity_store import IdentityStore
from sparcc_pipeline.app.nightly.morning.deviations import ImageFacts, deviations
from sparcc_pipeline.app.reader.cases.importing import ManifestRow, import_cases
from sparcc_pipeline.app.reader.database import open_reader_database
from sparcc_pipeline.app.reader.settings import load_settings
from sparcc_pipeline.app.results.extras import Extras
from sparcc_pipeline.app.study.config import load_config
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.score import Outcome, Scored, score_study
from sparcc_pipeline.message import words_of

from .foreign import REFUSED, SCORED, TOTAL, placed_segmenter, write_known
from .nightly.intake.intake_night import IntakeNight
from .reader.conftest import SETTINGS, Clock

Way = Callable[[Path, Path], int | str]
"""A folder with a study and a folder for results -> the total, or the reason why there is none."""


def result(outcome: Outcome) -> int | str:
    return outcome.score.total if isinstance(outcome, Scored) else words_of(outcome.error)


def by_score(study: Path, work: Path) -> int | str:
    return result(score_study(study, Request(), placed_segmenter, lambda _: None))


def by_batch(study: Path, work: Path) -> int | str:
    found = find_sources([study], work / "out")
    (row,) = [
        score_task(StudyTask(each, work / "out" / each.key, load_config(), Request(), Extras(), "ab" * 32))
        for each in found.studies
    ]
    assert not found.refused
    return row.reason or row.total or 0


def by_inbox(study: Path, work: Path) -> int | str:
    night = IntakeNight(work)
    night.drop(study, "upload")
    return _after_intake(night)


def by_node(study: Path, work: Path) -> int | str:
    night = IntakeNight(work)
    folder = IdentityStore.open(night.identity).incoming("S01") / "dicom-20260301T100000-abc"
    folder.mkdir()
    for number, path in enumerate(sorted(study.rglob("*"))):
        (folder / f"{number:06d}.dcm").write_bytes(path.read_bytes())
    return _after_intake(night)


def _after_intake(night: IntakeNight) -> int | str:
    try:
        night.manifest("S01", ("P1", "", "", "T01", "baseline"))
        (version,) = night.run()
        if version.state is not State.DEIDENTIFIED:
            return version.reason or ""
        outcome = score_study(night.files(version)[0].parent, Request(), placed_segmenter, lambda _: None)
        return result(outcome)
    finally:
        night.close()


def by_reader(study: Path, work: Path) -> int | str:
    settings = work / "reader.toml"
    settings.write_text(SETTINGS)
    database = open_reader_database(load_settings(settings), Clock())
    report = import_cases(database, [ManifestRow(2, "P001", "W0", study, None)])
    return TOTAL if report.imported else words_of(report.failed[0][1])


@pytest.fixture
def study(tmp_path: Path) -> list[Path]:
    return write_known(tmp_path / "study")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(batch_task, "_warm_segmenter", lambda config: placed_segmenter())
    folder = tmp_path / "work"
    folder.mkdir()
    yield folder


@pytest.mark.parametrize("way", [by_score, by_batch, by_inbox, by_node, by_reader], ids=lambda way: way.__name__)
@pytest.mark.parametrize("case", SCORED)
def test_a_study_that_can_be_read_is_scored_by_every_way(
    study: list[Path], work: Path, case: str, way: Way, tmp_path: Path
) -> None:
    if way is by_node and case.startswith("zip"):
        pytest.skip("a node receives images, no archives")
    SCORED[case](study)
    assert way(tmp_path / "study", work) == TOTAL


@pytest.mark.parametrize("way", [by_score, by_batch, by_inbox, by_node, by_reader], ids=lambda way: way.__name__)
@pytest.mark.parametrize("case", REFUSED)
def test_a_study_that_cannot_be_read_is_refused_by_every_way_with_its_reason(
    study: list[Path], work: Path, case: str, way: Way, tmp_path: Path
) -> None:
    if way is by_reader and case == "six slices touch the cut":
        pytest.skip("readers see the whole stack; only slices that a score chose are checked")
    change, reason = REFUSED[case]
    change(study)
    found = way(tmp_path / "study", work)
    assert isinstance(found, str) and reason in found


def test_lost_files_are_in_the_facts_and_the_morning_report(study: list[Path], work: Path, tmp_path: Path) -> None:
    for path in study[:2]:
        path.write_bytes(b"")
    (tmp_path / "study" / "README.txt").write_text("no image")
    night = IntakeNight(work)
    try:
        night.manifest("S01", ("P1", "", "", "T01", "baseline"))
        night.drop(tmp_path / "study", "upload")
        (version,) = night.run()
        assert (version.facts["lost_files"], version.facts["cut_ends"]) == (2, ["anterior"])
        assert version.facts["instances"] == 12
        found = deviations(ImageFacts.of(version.facts), None, night.settings.report)
        assert found[0].startswith("2 files cannot be read") and "anterior" in found[1]
        # A whole upload of the same study, sent later, replaces the damaged one.
        write_known(tmp_path / "again")
        night.drop(tmp_path / "again", "again")
        whole = night.run()[-1]
        assert whole.facts["lost_files"] == 0 and not whole.facts["cut_ends"]
    finally:
        night.close()


def test_names_in_any_bytes_end_no_batch(study: list[Path], work: Path, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/" + "王某".encode("gb18030")
    os.mkdir(folder)  # noqa: PTH102 - no UTF-8
    for number, path in enumerate(study):
        content = path.read_bytes()
        name = folder + b"/" + "图像".encode("gb18030") + b"%03d" % number
        with open(name, "wb") as file:  # noqa: PTH123
            file.write(content[: len(content) // 2] if number == 6 else content)
    found = find_sources([Path(os.fsdecode(folder))], work / "out")
    (task,) = [StudyTask(s, work / "out" / s.key, load_config(), Request(), Extras(), "ab" * 32) for s in found.studies]
    row = score_task(task)
    assert row.status == "rejected" and "图像006" in (row.reason or "")
    batch_csv([row]), batch_parquet([row]), sources_csv(found)
    (work / "out" / "score.json").write_text((task.folder / "score.json").read_text(encoding="utf-8"), encoding="utf-8")
    json.dumps(json.loads((task.folder / "score.json").read_text())).encode()
