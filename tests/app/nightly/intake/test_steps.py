"""From an upload to a de-identified study of a known participant, and what goes wrong on the way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import UID, ImplicitVRLittleEndian, SecondaryCaptureImageStorage

from sparcc_pipeline.app.ledger.ledger import Ledger
from sparcc_pipeline.app.ledger.states import State, UploadState
from sparcc_pipeline.app.nightly.intake import steps as intake
from sparcc_pipeline.app.nightly.intake.identity_store import IdentityStore
from sparcc_pipeline.app.nightly.work.outcome import Failed, NotYet
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.score import Scored, score_study
from sparcc_pipeline.dicom.input.discover import discover
from sparcc_pipeline.dicom.input.read import read_series
from sparcc_pipeline.dicom.input.select import find_stir
from sparcc_pipeline.dicom.write import write_mr_series

from ...conftest import KnownSegmenter, make_stir, make_tissue
from .intake_night import IntakeNight, write_study


@pytest.fixture
def night(tmp_path: Path) -> Iterator[IntakeNight]:
    found = IntakeNight(tmp_path)
    found.manifest("S01", ("P1", "", "", "T01", "baseline"))
    yield found
    found.close()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "source")


def edit(folder: Path, **elements: Any) -> None:
    for path in folder.iterdir():
        ds = pydicom.dcmread(path)
        for keyword, value in elements.items():
            setattr(ds, keyword, value)
        ds.save_as(path)


def test_the_same_upload_again_renamed_reordered_and_repacked_is_one_study(night: IntakeNight, study: Path) -> None:
    night.drop(study, "first")
    (first,) = night.run()
    others = night.folder / "others"
    others.mkdir()
    for number, path in enumerate(sorted(study.iterdir(), reverse=True)):
        shutil.copy(path, others / f"IMG{number}")
    night.drop(others, "renamed", zipped=True)
    for path in others.iterdir():
        ds = pydicom.dcmread(path)
        ds.save_as(path, implicit_vr=False, enforce_file_format=True)
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        ds.save_as(path, implicit_vr=True)
    night.drop(others, "in another syntax")

    (again,) = night.run()

    assert first.state == State.DEIDENTIFIED and first.name == "S01/T01/baseline v1"
    assert (again.id, again.content_key, again.deidentified_at) == (first.id, first.content_key, first.deidentified_at)
    assert len(night.ledger.uploads(UploadState.SORTED)) == 3
    assert list((night.folder / "inbox-S01").iterdir()) == []


def test_half_a_study_waits_and_goes_on_when_the_rest_comes(night: IntakeNight, study: Path) -> None:
    files = sorted(study.iterdir())
    half = night.folder / "half"
    half.mkdir()
    for path in (*files[:3], *files[5:9]):
        shutil.copy(path, half)
    night.drop(half, "half")
    (waiting,) = night.run()

    assert waiting.state == State.QUARANTINED and "not whole" in (waiting.reason or "")
    night.drop(study, "all of it")
    (whole,) = night.run()

    assert (whole.id, whole.state) == (waiting.id, State.DEIDENTIFIED)
    assert len(night.files(whole)) == len(files) == whole.facts["slices"]


def test_a_study_that_grows_later_is_a_new_version_and_both_are_kept(night: IntakeNight, study: Path) -> None:
    night.drop(study, "stir")
    (first,) = night.run()
    more = night.folder / "more"
    write_mr_series(make_stir(), more, style="siemens", patient_id="P1", seed="intake", series_number=9)
    night.drop(more, "second series")

    old, new = night.run()

    assert (old.id, old.superseded_by, new.supersedes) == (first.id, new.id, old.id)
    assert (old.name, new.name) == ("S01/T01/baseline v1", "S01/T01/baseline v2")
    assert len(night.files(new)) == 2 * len(night.files(old))


def test_two_sites_with_one_study_uid_stay_two_studies(night: IntakeNight, study: Path) -> None:
    night.manifest("S02", ("P1", "", "", "T02", "baseline"))
    night.drop(study, "one", "S01")
    night.drop(study, "two", "S02")

    one, two = night.run()

    assert {one.name, two.name} == {"S01/T01/baseline v1", "S02/T02/baseline v1"}
    uids = [{pydicom.dcmread(path).StudyInstanceUID for path in night.files(each)} for each in (one, two)]
    assert len(uids[0]) == len(uids[1]) == 1 and uids[0] != uids[1]


def test_an_unknown_patient_waits_and_goes_on_by_itself_when_the_manifest_is_corrected(
    night: IntakeNight, study: Path
) -> None:
    night.manifest("S01")
    night.drop(study, "x")
    (waiting,) = night.run()

    assert waiting.state == State.QUARANTINED and "manifest" in (waiting.reason or "")
    assert intake.whose(night.settings, waiting) == [("P1", "", "20260301")]
    night.manifest("S01", ("p1", "2026-03-01", "2026-03-01", "T01", "baseline"))
    (known,) = night.run()

    assert (known.state, known.name) == (State.DEIDENTIFIED, "S01/T01/baseline v1")


def test_a_broken_manifest_holds_its_own_site_only(night: IntakeNight, study: Path) -> None:
    night.manifest("S02", ("P1", "", "", "T02", "baseline"))
    (night.identity / "S01.csv").write_text("nonsense\n1\n")
    night.drop(study, "one", "S01")
    night.drop(study, "two", "S02")

    states = {version.site: version.state for version in night.run()}

    assert states == {"S01": State.QUARANTINED, "S02": State.DEIDENTIFIED}


def test_the_reason_of_a_waiting_study_is_that_of_the_latest_round(night: IntakeNight, study: Path) -> None:
    (night.identity / "S01.csv").unlink()
    night.drop(study, "one")
    (version,) = night.run()
    assert "cannot be used" in str(version.reason)
    night.manifest("S01", ("P2", "", "", "T01", "baseline"))

    (version,) = night.run()
    assert version.state == State.QUARANTINED and "no row of the site's manifest fits" in str(version.reason)
    changes = len(night.ledger.history(event="explained"))
    night.run()
    assert len(night.ledger.history(event="explained")) == changes == 1


def test_a_second_study_for_one_visit_is_for_a_person_to_decide(night: IntakeNight, study: Path) -> None:
    night.drop(study, "one")
    (first,) = night.run()
    night.drop(write_study(night.folder / "other", seed="other"), "two")

    _, second = night.run()

    assert second.state == State.QUARANTINED and f"study {first.id}" in (second.reason or "")
    night.ledger.supersede(first.id, second.id, "Li")
    assert [version.state for version in night.run()] == [State.DEIDENTIFIED] * 2


def test_intervals_between_visits_stay_whichever_comes_first(night: IntakeNight, study: Path) -> None:
    night.manifest(
        "S01", ("P1", "2026-01-01", "2026-04-01", "T01", "baseline"), ("P1", "2026-05-01", "", "T01", "week12")
    )
    night.drop(write_study(night.folder / "later", acquired="2026-05-24"), "follow-up first")
    night.run()
    night.drop(study, "baseline")
    dates = {}
    for version in night.run():
        dates[version.visit] = date.fromisoformat(pydicom.dcmread(night.files(version)[0]).StudyDate)

    assert (dates["week12"] - dates["baseline"]).days == 84
    assert dates["baseline"].year < 2026
    assert IdentityStore.open(night.identity).identities.patients("T01") == [
        ("S01", "P1", (dates["baseline"] - date(2026, 3, 1)).days)
    ]


def test_burnt_in_text_waits_for_a_person_who_may_let_it_pass(night: IntakeNight, study: Path) -> None:
    edit(study, BurnedInAnnotation="YES")
    night.drop(study, "x")
    (waiting,) = night.run()

    assert waiting.state == State.QUARANTINED and "burnt" in (waiting.reason or "")
    assert not (night.work / "studies").exists() and list((night.work / ".staging").iterdir()) == []
    night.ledger.release(waiting.id, "no name in them", "Li")
    (released,) = night.run()

    assert released.state == State.DEIDENTIFIED


def test_a_release_by_the_manifest_does_not_let_burnt_in_text_pass(night: IntakeNight, study: Path) -> None:
    edit(study, BurnedInAnnotation="YES")
    night.manifest("S01")
    night.drop(study, "x")
    night.run()
    night.manifest("S01", ("P1", "", "", "T01", "baseline"))

    (waiting,) = night.run()

    assert waiting.state == State.QUARANTINED and "burnt" in (waiting.reason or "")


def test_other_objects_of_a_study_are_left_aside(night: IntakeNight, study: Path) -> None:
    ds = pydicom.dcmread(min(study.iterdir()))
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    ds.SeriesInstanceUID = "1.2.3.5"
    ds.save_as(study / "screen.dcm")
    night.drop(study, "x")

    (version,) = night.run()

    assert version.state == State.DEIDENTIFIED and version.facts["set_aside"] == 1
    assert len(night.files(version)) == len(list(study.iterdir())) - 1


def test_two_patients_in_one_study_wait(night: IntakeNight, study: Path) -> None:
    ds = pydicom.dcmread(min(study.iterdir()))
    ds.PatientID = "P2"
    ds.save_as(min(study.iterdir()))
    night.drop(study, "x")

    (version,) = night.run()

    assert version.state == State.QUARANTINED and "different patient" in (version.reason or "")


def test_a_damaged_image_rejects_the_study_and_publishes_nothing(night: IntakeNight, study: Path) -> None:
    path = sorted(study.iterdir())[3]
    path.write_bytes(path.read_bytes()[:-500])
    night.drop(study, "x")

    (version,) = night.run()

    assert version.state == State.REJECTED and "damaged" in (version.reason or "")
    assert not (night.work / "studies").exists()


def test_a_harmful_site_stops_no_other(night: IntakeNight, study: Path) -> None:
    (night.folder / "inbox-S01" / "link").symlink_to(night.identity)
    (night.folder / "inbox-S01" / "text").mkdir()
    (night.folder / "inbox-S01" / "text" / "readme.txt").write_text("no image")
    shutil.rmtree(night.folder / "inbox-S02")
    night.drop(study, "good")

    (version,) = night.run(problems=1)
    night.run(problems=1)

    assert version.state == State.DEIDENTIFIED
    refused = night.ledger.uploads(UploadState.REJECTED)
    assert len(refused) == 2 and {bool(upload.files) for upload in refused} == {True, False}
    assert all(upload.reason for upload in refused)
    assert (night.folder / "inbox-S01" / "link").is_symlink()
    assert sum(event == "upload refused" for event, _ in night.logged) == 1
    assert any(event == "inbox could not be read" and fields["site"] == "S02" for event, fields in night.logged)


def test_a_study_is_not_complete_while_it_may_still_come(night: IntakeNight, study: Path) -> None:
    folder = IdentityStore.open(night.identity).incoming("S01") / "dicom-1"
    shutil.copytree(study, folder)
    arrived = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
    for path in folder.iterdir():
        os.utime(path, (arrived.timestamp(), arrived.timestamp()))
    times = {"now": arrived + timedelta(minutes=9)}
    context = night.make_context(lambda: times["now"], lambda *_, **__: None)
    intake.take_in(context)
    (version,) = night.ledger.versions()

    assert intake.check_complete(context, version) == NotYet(arrived + timedelta(minutes=10))
    times["now"] = arrived + timedelta(minutes=10)
    assert not isinstance(intake.check_complete(context, version), NotYet)
    # With the clock set back by a year, it would wait that long.
    times["now"] = arrived - timedelta(days=365)
    assert not isinstance(intake.check_complete(context, version), NotYet)


def test_fewer_images_than_the_pacs_holds_are_fetched_again(night: IntakeNight, study: Path) -> None:
    night.drop(study, "x")
    intake.take_in(night.context)
    (version,) = night.ledger.versions()
    identities = IdentityStore.open(night.identity).identities
    identities.expect("S01", version.study_key, 99)
    assert isinstance(intake.check_complete(night.context, version), Failed)
    identities.expect("S01", version.study_key, len(list(study.iterdir())))
    assert not isinstance(intake.check_complete(night.context, version), Failed)


def test_a_step_that_runs_twice_changes_nothing(night: IntakeNight, study: Path) -> None:
    night.drop(study, "x")
    (version,) = night.run()
    before = {path.name: path.read_bytes() for path in night.files(version)}
    # As if killed after the folder had its name and before the ledger recorded it.
    intake.take_in(night.context)
    intake.deidentify(night.context, replace(version, state=State.COMPLETE))

    assert {path.name: path.read_bytes() for path in night.files(version)} == before
    assert list((night.work / ".staging").iterdir()) == []
    assert len(night.ledger.versions()) == 1


def test_raw_files_are_deleted_once_their_study_is_delivered_and_not_before(night: IntakeNight, study: Path) -> None:
    limits = night.settings.intake.model_copy(update={"keep_raw_days": 7})
    night.context = replace(night.context, settings=night.settings.model_copy(update={"intake": limits}))
    night.drop(study, "x")
    (version,) = night.run()
    incoming = IdentityStore.open(night.identity).incoming("S01")
    night.pass_time(days=8)
    night.run()
    assert len(list(incoming.iterdir())) == 1
    for state in (State.DEIDENTIFIED, State.SCORED):
        held = night.ledger.claim(state, "test", timedelta(hours=1), 5)
        assert held is not None and held.id == version.id
        night.ledger.finish(held, {})
    night.run()

    assert list(incoming.iterdir()) == []
    assert len(night.ledger.versions()) == 1


def test_more_images_of_a_study_without_its_raw_files_need_all_of_it_again(night: IntakeNight, study: Path) -> None:
    night.drop(study, "stir")
    night.run()
    for upload in IdentityStore.open(night.identity).incoming("S01").iterdir():
        shutil.rmtree(upload)
    more = night.folder / "more"
    write_mr_series(make_stir(), more, style="siemens", patient_id="P1", seed="intake", series_number=9)
    night.drop(more, "second series")
    _, waiting = night.run()

    assert waiting.state == State.QUARANTINED and "whole study again" in (waiting.reason or "")
    night.drop(study, "stir once more")
    _, whole = night.run()

    assert (whole.id, whole.state) == (waiting.id, State.DEIDENTIFIED)
    assert len(night.files(whole)) == 28


class KilledError(BaseException):
    """Ends the work in the middle, in place of a kill."""


@pytest.mark.parametrize("call", ["record_upload", "record_study", "close_upload", "assign"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_intake_killed_at_any_write_to_the_ledger_records_the_same_again(
    night: IntakeNight, study: Path, monkeypatch: pytest.MonkeyPatch, call: str, moment: str
) -> None:
    night.drop(study, "x")
    real = getattr(Ledger, call)

    def killed(self: Ledger, *arguments: Any, **named: Any) -> Any:
        if moment == "after":
            real(self, *arguments, **named)
        raise KilledError

    with monkeypatch.context() as patched, pytest.raises(KilledError):
        patched.setattr(Ledger, call, killed)
        night.run()
    (version,) = night.run()

    assert (version.state, version.name) == (State.DEIDENTIFIED, "S01/T01/baseline v1")
    assert len(night.files(version)) == 14
    assert [upload.state for upload in night.ledger.uploads()] == [UploadState.SORTED]
    assert list((night.work / ".staging").iterdir()) == []


def test_while_another_process_takes_in_this_one_does_not(night: IntakeNight, study: Path) -> None:
    night.drop(study, "x")
    with IdentityStore.open(night.identity).lock():
        assert night.run() == []
    assert len(night.run()) == 1


def test_the_score_is_that_of_the_original(night: IntakeNight, study: Path) -> None:
    night.drop(study, "x")
    (version,) = night.run()
    outcomes = []
    for folder in (study, night.work / (version.study_folder or "")):
        outcome = score_study(folder, Request(), lambda: KnownSegmenter(make_tissue()), lambda _: None)
        assert isinstance(outcome, Scored)
        outcomes.append(outcome)
    volumes = [
        read_series(find_stir(discover(folder.iterdir())).series) for folder in (study, night.files(version)[0].parent)
    ]

    assert outcomes[0].score == outcomes[1].score and outcomes[0].score.total == 4
    assert (volumes[0].signal == volumes[1].signal).all()
    assert version.facts["field_strength_tesla"] == 1.5 and version.facts["spacing_mm"] == 4.0
