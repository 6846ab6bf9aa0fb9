"""Scores from the ledger of the night, on SQLite and PostgreSQL: the newest version of each visit, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import Ledger, StudyVersion
from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.app.trial_data.read.sources import LoadedTrial, TrialSources, load_trial
from sparcc_pipeline.app.trial_data.scores.ledger_scores import ledger_source
from sparcc_pipeline.errors import ConfigError, SparccError
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.records import QueryKind

from ....trial.builders import protocol
from ..conftest import Call, Files, score_folder

SITE = "S01"
STEPS = (State.RECEIVED, State.COMPLETE, State.DEIDENTIFIED, State.SCORED)


class Night:
    """A ledger and its work folder, as the night leaves them."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.ledger = Ledger(engine := open_database(url), lambda: datetime(2026, 3, 1, tzinfo=UTC), 5)
        self.engine = engine

    def received(self, participant: str, visit: str, content: str, study: str = "") -> StudyVersion:
        version = self.ledger.record_study(SITE, study or content, content, [])
        return self.ledger.assign(version.id, participant, visit)

    def scored(
        self, participant: str, visit: str, content: str, total: int, *, study: str = "", delivered: bool = False
    ) -> StudyVersion:
        version = self.received(participant, visit, content, study)
        for state in STEPS if delivered else STEPS[:-1]:
            self.ledger.finish(self.claimed(state))
        assert version.result_folder is not None
        score_folder(self.folder / version.result_folder, total=total, study_uid=content)
        return version

    def claimed(self, state: State) -> StudyVersion:
        version = self.ledger.claim(state, "worker", timedelta(minutes=5), 3)
        assert version is not None
        return version


@pytest.fixture
def night(ledger_url: str, tmp_path: Path) -> Iterator[Night]:
    night = Night(ledger_url, tmp_path / "work")
    yield night
    night.engine.dispose()


def load(files: Files, night: Night) -> LoadedTrial:
    source = ledger_source(night.url, night.folder)
    return load_trial(TrialSources([files.participants, files.visits], ledger=source), protocol())


def test_scored_and_delivered_studies_count_and_their_newest_version_alone(files: Files, night: Night) -> None:
    night.scored("P001", "baseline", "a", 9, study="one")
    night.scored("P001", "W0", "a and more", 8, study="one")
    night.scored("P002", "week_12_arm_1", "b", 3, delivered=True)
    data = load(files, night).data

    assert [(s.participant, s.visit, s.total) for s in data.scores] == [("P001", "W0", 8), ("P002", "W12", 3)]
    assert [q for q in data.queries if q.file == "ledger"] == []


def test_a_study_without_a_score_is_asked_about_and_a_rejected_one_gives_the_reason(files: Files, night: Night) -> None:
    night.received("P001", "W0", "a")
    night.ledger.quarantine(night.claimed(State.RECEIVED), Message("no image in the file"))
    night.received("P001", "W12", "b")
    night.ledger.reject(night.claimed(State.RECEIVED), Message("no image in the file"))
    waiting = night.received("P002", "W0", "c")
    data = load(files, night).data

    (score,) = data.scores
    assert (score.visit, score.total, score.reason) == ("W12", None, "no image in the file")
    asked = [(q.kind, q.row, q.column, q.found) for q in data.queries if q.file == "ledger"]
    assert (QueryKind.MISSING, waiting.id, "state", "a study that is received, not scored yet") in asked
    assert [found for *_, found in asked].count("a study in quarantine") == 1


def test_codes_that_the_trial_does_not_know_and_visits_scored_twice_do_not_count(files: Files, night: Night) -> None:
    unknown = night.scored("P099", "W0", "a", 9)
    nowhere = night.scored("P001", "W7", "b", 9)
    night.scored("P001", "W0", "c", 9)
    night.scored("P001", "W0", "d", 4)
    data = load(files, night).data

    assert data.scores == ()
    asked = [(q.kind, q.row) for q in data.queries if q.file == "ledger"]
    assert (QueryKind.UNKNOWN_PARTICIPANT, unknown.id) in asked and (QueryKind.UNKNOWN_VISIT, nowhere.id) in asked
    assert [kind for kind, _ in asked].count(QueryKind.DUPLICATE) == 2


def test_the_commands_read_the_ledger_and_leave_it_as_it_was(
    files: Files, night: Night, made_protocol: Path, trial: Call, tmp_path: Path
) -> None:
    night.scored("P001", "W0", "a", 9)
    before = night.ledger.history()
    given = [files.participants, files.visits, "--ledger", night.url, "--work-folder", night.folder]

    ended = trial("import", *given, "--out", tmp_path / "tables")

    assert ended.code == 0 and "1 scores" in ended.out
    assert '"file": "ledger"' in (tmp_path / "tables" / "trial.json").read_text(encoding="utf-8")
    assert trial("status", *given, "--protocol", made_protocol).code == 0
    assert night.ledger.history() == before


def test_a_ledger_that_is_none_is_refused_and_not_made(files: Files, tmp_path: Path, trial: Call) -> None:
    missing = tmp_path / "night" / "ledger.sqlite"
    other = tmp_path / "other.sqlite"
    other.touch()
    for url in (f"sqlite:///{missing}", f"sqlite:///{other}", "nothing", "mysql://host/name"):
        ended = trial("import", files.visits, "--ledger", url, "--work-folder", tmp_path, "--out", tmp_path / "out")
        assert ended.code == 2 and "expected" in ended.err
    assert not missing.parent.exists() and not (tmp_path / "out").exists()


def test_the_work_folder_is_that_of_the_sqlite_file_or_must_be_given(tmp_path: Path, trial: Call, files: Files) -> None:
    assert ledger_source(f"sqlite:///{tmp_path}/ledger.sqlite", None).work_folder == tmp_path
    with pytest.raises(ConfigError, match="--work-folder"):
        ledger_source("postgresql://reader@127.0.0.1/none", None)
    assert trial("import", files.visits, "--work-folder", tmp_path, "--out", tmp_path / "out").code == 2


def test_a_database_that_does_not_answer_is_reported(files: Files, tmp_path: Path) -> None:
    source = ledger_source("postgresql://reader@127.0.0.1:9/none", tmp_path)
    with pytest.raises(SparccError, match="check --ledger"):
        load_trial(TrialSources([files.visits], ledger=source), protocol())
