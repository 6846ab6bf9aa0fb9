"""A night killed before and after every commit and rename, and run again: every study is scored exactly once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import StudyVersion
from sparcc_pipeline.app.ledger.states import NEXT, TRANSITIONS, ChangeState, State
from sparcc_pipeline.dicom.write import write_mr_series

from ...conftest import make_stir
from .real_night import RealNight, drop
from .stub_night import FILES, STUDIES, StubNight, is_whole

PROGRAM = Path(__file__).with_name("killing.py")
COMMIT = re.compile(r"(before|after) commit (?:moved|claimed) (\S+) -> (\S+) of version_id")


def _kill(*arguments: object) -> None:
    subprocess.run([sys.executable, str(PROGRAM), *map(str, arguments)], check=True, env=os.environ)


class Killed:
    """A night that was killed at every moment, and its remains."""

    def __init__(self, folder: Path, rehearsal: str, url: str) -> None:
        for each in (rehearsal, url):
            open_database(each).dispose()
        _kill("stub", folder, url, rehearsal)
        self.work = folder / "work"
        self.moments = (folder / "killed").read_text().splitlines()
        self.night = StubNight(folder, url)
        self.ledger = self.night.ledger


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def killed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    folder = tmp_path_factory.mktemp("killed")
    if request.param == "sqlite":
        urls = [f"sqlite:///{folder / name}.sqlite" for name in ("rehearsal", "ledger")]
    else:
        cluster = request.getfixturevalue("cluster")
        urls = [cluster.url() for _ in range(2)]
    result = Killed(folder, *urls)
    yield result
    result.night.close()


@pytest.mark.parametrize("transition", sorted(TRANSITIONS), ids=" to ".join)
def test_every_transition_was_killed_before_and_after_its_commit(
    killed: Killed, transition: tuple[State, State]
) -> None:
    """This fails for a new transition of the ledger that no plan of the stub night leads to."""
    found = {
        match[1]
        for moment in killed.moments
        if (match := COMMIT.fullmatch(moment)) and match.groups()[1:] == transition
    }

    assert found == {"before", "after"}


def test_every_publication_was_killed_before_and_after_its_rename(killed: Killed) -> None:
    for name in ("studies", "results", "changes", "delivered", ".staging"):
        assert {f"before rename into work/{name}", f"after rename into work/{name}"} <= set(killed.moments)


def test_every_study_ended_scored_and_delivered_exactly_once(killed: Killed) -> None:
    versions = killed.ledger.versions()
    assert sorted((each.participant, each.visit, each.version) for each in versions) == sorted(
        (participant, visit, 1) for participant, visit, _ in STUDIES
    )
    for version in versions:
        moves = [(each.from_state, each.to_state) for each in killed.ledger.history(version.id, event="moved")]
        assert version.state == State.DELIVERED
        assert [moves.count(step) for step in NEXT.items()] == [1, 1, 1, 1]


def test_every_change_was_made_exactly_once(killed: Killed) -> None:
    changes = killed.ledger.changes()
    assert [(each.state, each.facts) for each in changes] == [(ChangeState.MADE, {"total": -1})] * 2
    made = [each.change_id for each in killed.ledger.history(event="moved") if each.to_state == ChangeState.MADE]
    assert sorted(map(str, made)) == sorted(str(each.id) for each in changes)


def test_every_upload_was_recorded_exactly_once(killed: Killed) -> None:
    assert sorted(each.id for each in killed.ledger.uploads()) == sorted(f"{who}-{visit}" for who, visit, _ in STUDIES)
    assert [killed.ledger.uploads_of(each.id) for each in killed.ledger.versions()] == [
        [f"{each.participant}-{each.visit}"] for each in killed.ledger.versions()
    ]


def test_nothing_is_left_half_done_or_beside_its_place(killed: Killed) -> None:
    versions, changes = killed.ledger.versions(), killed.ledger.changes()
    folders = {str(each.study_folder) for each in versions} | {str(each.result_folder) for each in versions}
    folders |= {str(each.change_folder) for each in changes}
    expected = {f"{folder}/{name}" for folder in folders for name in FILES}
    expected |= {f"delivered/{version.id}" for version in versions}

    assert {file.relative_to(killed.work).as_posix() for file in killed.work.rglob("*") if file.is_file()} == expected
    assert all(is_whole(killed.work / folder) for folder in folders)
    assert list((killed.work / ".staging").iterdir()) == []
    assert killed.ledger.owners() == []


def test_real_intake_and_delivery_survive_every_kill(tmp_path: Path) -> None:
    url, sent = f"sqlite:///{tmp_path / 'ledger.sqlite'}", {}
    for patient in ("ZHANG3", "LI4"):
        sent[patient] = tmp_path / "sent" / patient
        write_mr_series(make_stir(), sent[patient], style="siemens", patient_id=patient, seed=patient)
    drop(tmp_path, sent)
    open_database(url).dispose()

    _kill("real", tmp_path, url)

    moments = set((tmp_path / "killed").read_text().splitlines())
    renames = (f"rename into {place}" for place in ("identity", "work/studies", "work/results", "delivered"))
    commits = (f"commit moved {start} -> {end} of version_id" for start, end in NEXT.items())
    for moment in (*renames, *commits):
        assert {f"before {moment}", f"after {moment}"} <= moments
    night = RealNight(tmp_path, url)
    for version in night.ledger.versions():
        moves = [(each.from_state, each.to_state) for each in night.ledger.history(version.id, event="moved")]
        assert moves == list(NEXT.items())
        for folder in (tmp_path / "delivered" / version.name.replace(" ", "/"), tmp_path / "work" / _of(version)):
            assert sorted(path.name for path in folder.iterdir()) == ["score.json", "seg.dcm"]
        assert (tmp_path / "work" / _of(version) / "seg.dcm").read_text() == f"of study-{version.id}"
    assert len(night.ledger.versions()) == len(night.ledger.uploads()) == 2
    slices = [path for path in (tmp_path / "work" / "studies").rglob("*") if path.is_file()]
    assert len(slices) == 2 * make_stir().geometry.shape[0]
    assert list((tmp_path / "work" / ".staging").iterdir()) == []
    left = [path for path in (tmp_path / "identity" / "incoming").rglob("*") if path.is_file()]
    assert len(left) == len(slices)
    assert list((tmp_path / "inbox").iterdir()) == []
    night.close()


def _of(version: StudyVersion) -> str:
    return str(version.result_folder)
