"""One bad file stops nobody: neither the other uploads of its site, nor other sites, nor the night."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sparcc_pipeline.app.ledger.states import State, UploadState
from sparcc_pipeline.app.nightly.intake import inbox, raw_files, sorting
from sparcc_pipeline.app.nightly.work.night import Part
from sparcc_pipeline.dicom.guard.child import run_guarded
from sparcc_pipeline.errors import OutputError

from ....dicom.hostile import HOSTILE
from ....soak.mutations import ANYWHERE, FORMATS, META, mutate
from .intake_night import IntakeNight, write_study


@pytest.fixture
def night(tmp_path: Path) -> Iterator[IntakeNight]:
    found = IntakeNight(tmp_path)
    found.manifest("S01", ("P1", "", "", "T01", "baseline"))
    found.manifest("S02", ("P1", "", "", "T02", "baseline"))
    yield found
    found.close()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_stops_no_other_upload(night: IntakeNight, tmp_path: Path, name: str) -> None:
    study = write_study(tmp_path / "source")
    bad = Path(shutil.copytree(study, tmp_path / "bad"))
    HOSTILE[name](sorted(bad.iterdir())[3])
    night.drop(bad, "bad", "S01")
    night.drop(study, "good", "S02")

    found = {version.site: version.state for version in night.run()}

    assert found["S02"] == State.DEIDENTIFIED
    held = [upload.site for upload in night.ledger.uploads(UploadState.QUARANTINED)]
    if name == "bad_class_vr":
        assert found["S01"] == State.DEIDENTIFIED  # nothing that is needed is damaged
        return
    assert found.get("S01") in (State.REJECTED, State.QUARANTINED) or held == ["S01"]


def test_an_upload_that_ends_its_reader_is_quarantined_by_name_and_can_be_released(
    night: IntakeNight, tmp_path: Path
) -> None:
    study = write_study(tmp_path / "source")
    HOSTILE["abort_lossless"](sorted(study.iterdir())[3])
    night.drop(study, "bad")

    assert night.run() == []

    (upload,) = night.ledger.uploads(UploadState.QUARANTINED)
    assert upload.id in str(upload.reason) and "3 attempts" in str(upload.reason) and upload.files == 14
    assert sum(event == "upload could not be read" for event, _ in night.logged) == sorting.SORTING_ATTEMPTS
    (folder,) = (night.identity / "incoming" / "S01").iterdir()
    sorted(folder.iterdir())[3].unlink()
    night.ledger.release_upload(upload.id, "the bad file is deleted", "Li")
    assert [version.state for version in night.run()] == [State.QUARANTINED]  # a slice is missing


def test_many_bad_uploads_leave_time_for_other_sites(night: IntakeNight, tmp_path: Path) -> None:
    study = write_study(tmp_path / "source")
    for number in range(sorting.FAULTS_OF_SITE + 2):
        bad = Path(shutil.copytree(study, tmp_path / f"bad{number}"))
        HOSTILE["abort_lossless"](sorted(bad.iterdir())[number])
        night.drop(bad, f"bad{number}", "S01")
    night.drop(study, "good", "S02")

    night.run()

    held = night.ledger.uploads(UploadState.QUARANTINED)
    # The study of the other site moves in the first round, hence a second one.
    assert len(held) == sorting.FAULTS_OF_SITE + 2


def test_a_name_that_is_no_utf_8_is_taken_in(night: IntakeNight, tmp_path: Path) -> None:
    study = write_study(tmp_path / "source")
    name = os.fsdecode(b"\xb2\xe2\xca\xd4")
    night.drop(study, name)
    inside = night.folder / "inbox-S01" / name
    first = sorted(inside.iterdir())[0]
    first.rename(first.with_name(name))

    assert [version.state for version in night.run()] == [State.DEIDENTIFIED]


def test_a_fault_of_one_site_is_a_problem_of_the_night_and_stops_no_other(
    night: IntakeNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = inbox.list_entries

    def failing(folder: Path, most: int) -> list[inbox.Entry]:
        if folder.name == "inbox-S01":
            raise RuntimeError("anything")
        return real(folder, most)

    monkeypatch.setattr(sorting, "list_entries", failing)
    night.drop(write_study(tmp_path / "source"), "good", "S02")

    assert [version.state for version in night.run(problems=1)] == [State.DEIDENTIFIED]


def test_uploads_behind_bad_ones_wait_in_the_ledger_and_are_a_problem_of_the_night(
    night: IntakeNight, tmp_path: Path
) -> None:
    study = write_study(tmp_path / "source")
    for number in range(sorting.FAULTS_OF_SITE + 2):
        bad = Path(shutil.copytree(study, tmp_path / f"bad{number}"))
        HOSTILE["abort_lossless"](sorted(bad.iterdir())[number])
        night.drop(bad, f"bad{number}", "S01")

    night.run(problems=1)

    waiting = night.ledger.uploads(UploadState.RECEIVED)
    assert len(waiting) == 2 and {upload.site for upload in waiting} == {"S01"}
    assert all("3 other uploads of the site" in str(upload.reason) for upload in waiting)
    again = night.night(Part.INTAKE)
    again.run()
    assert again.problems == [] and not night.ledger.uploads(UploadState.RECEIVED)
    assert all(upload.files == 14 for upload in night.ledger.uploads())


def test_an_upload_that_ends_the_program_itself_is_quarantined_after_as_many_attempts(
    night: IntakeNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    night.drop(write_study(tmp_path / "source"), "bad")
    with monkeypatch.context() as patched:
        patched.setattr(sorting, "_sort_upload", killed)
        # A killed process withdraws nothing.
        patched.setattr(night.ledger, "withdraw_attempt", lambda _: None)
        for _ in range(sorting.SORTING_ATTEMPTS):
            with pytest.raises(Killed):
                night.run()

    assert night.run() == []

    (upload,) = night.ledger.uploads(UploadState.QUARANTINED)
    assert "the program ended while it read the upload" in str(upload.reason)
    night.ledger.release_upload(upload.id, "the machine was at fault", "Li")
    assert [version.state for version in night.run()] == [State.DEIDENTIFIED]


def test_a_full_disk_uses_up_no_attempt_of_an_upload(
    night: IntakeNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutputError("expected room in the identity folder, found none; free some")

    night.drop(write_study(tmp_path / "source"), "good")
    with monkeypatch.context() as patched:
        patched.setattr(sorting, "_sort_upload", full)
        for _ in range(sorting.SORTING_ATTEMPTS + 1):
            night.run(problems=1)

    assert [version.state for version in night.run()] == [State.DEIDENTIFIED]


def test_lost_files_are_read_by_the_guarded_child(
    night: IntakeNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded: list[str] = []

    def recorded(function: Callable[..., object], *args: object, **named: object) -> object:
        guarded.append(function.__name__)
        return run_guarded(function, *args, **named)  # type: ignore[arg-type]

    study = write_study(tmp_path / "source")
    # The end of the stack: a gap in it would hold the study.
    sorted(study.iterdir())[-1].write_bytes(bytes(128) + b"DICM" + bytes(400))
    night.drop(study, "study")
    monkeypatch.setattr(raw_files, "run_guarded", recorded)

    (version,) = night.run()

    assert version.state == State.DEIDENTIFIED and "discover" in guarded
    assert [file.stat().st_size for file in night.files(version) if file.name.startswith("unreadable")] == [0]


def test_mutated_uploads_are_all_accounted_for_and_touch_no_other_site(night: IntakeNight, tmp_path: Path) -> None:
    study, chance = write_study(tmp_path / "source"), random.Random(7)
    sent: set[bytes] = set()
    for number, (name, prepare) in enumerate(FORMATS.items()):
        bad = Path(shutil.copytree(study, tmp_path / f"bad{number}"))
        for file in sorted(bad.iterdir())[3:6]:
            prepare(file)
            file.write_bytes(mutate(file.read_bytes(), chance, META if name == "file meta" else ANYWHERE))
        sent |= {file.read_bytes() for file in bad.iterdir()}
        night.drop(bad, f"bad{number}", "S01")
    night.drop(study, "good", "S02")

    for _ in range(3):
        night.night(Part.INTAKE).run()

    assert [version.state for version in night.ledger.versions(site="S02")] == [State.DEIDENTIFIED]
    uploads = night.ledger.uploads()
    assert len(uploads) == len(FORMATS) + 1 and not any(upload.state == UploadState.RECEIVED for upload in uploads)
    assert all(upload.reason is not None for upload in uploads if upload.state != UploadState.SORTED)
    kept = {file.read_bytes() for file in (night.identity / "incoming" / "S01").rglob("*") if file.is_file()}
    assert sent <= kept
    assert not [path for path in (night.folder / "inbox-S01").rglob("*") if path.is_file()]
