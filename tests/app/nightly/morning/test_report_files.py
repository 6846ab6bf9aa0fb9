"""The morning report from the ledger to its files: every state has its place, and the folder is whole or unchanged."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import FileRecord, Ledger, StudyVersion, UploadRecord
from sparcc_pipeline.app.ledger.states import State, UploadState
from sparcc_pipeline.app.nightly.morning import report
from sparcc_pipeline.app.nightly.morning.ledger import morning_of
from sparcc_pipeline.app.nightly.morning.report import write_morning_report
from sparcc_pipeline.app.nightly.morning.studies import Delivery, Standing
from sparcc_pipeline.app.nightly.morning.words import BY_KIND
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.app.nightly.settings_tables import Paths, ReportSettings, RunSettings, SiteSettings
from sparcc_pipeline.app.nightly.work.outcome import Context
from sparcc_pipeline.errors import ConfigError, OutputError
from sparcc_pipeline.message import Message

from .morning_builders import NOW, SITES, ago


@pytest.fixture
def settings(tmp_path: Path) -> NightlySettings:
    return NightlySettings(
        paths=Paths(identity_folder=tmp_path / "identity", work_folder=tmp_path / "work"),
        site=[SiteSettings(code=s.code, name=s.name, manifest=tmp_path / "m.csv", language=s.language) for s in SITES],
        report=ReportSettings(time_zone="Asia/Shanghai"),
        run=RunSettings(baseline_visit="W0"),
    )


class Night:
    """Drives studies through a ledger on SQLite with its own clock."""

    def __init__(self, settings: NightlySettings) -> None:
        self.now = ago(hours=5)
        self.ledger = Ledger(open_database(settings.database_url), lambda: self.now, 1.0)
        self._number = 0

    def study(self, visit: str = "W0", participant: str = "P1", site: str = "URM") -> StudyVersion:
        self._number += 1
        upload = UploadRecord(f"u{self._number}", site, "inbox", (FileRecord(f"{self._number:064x}", 9, "i"),))
        self.ledger.record_upload(upload)
        self.ledger.close_upload(upload.id, UploadState.SORTED, None)
        found = self.ledger.record_study(site, f"k{self._number}", f"c{self._number}", [upload.id])
        self.ledger.assign(found.id, participant, visit)
        return self.ledger.version(found.id)

    def claim(self, state: State) -> StudyVersion:
        found = self.ledger.claim(state, "me", timedelta(minutes=9), 5)
        assert found is not None
        return found

    def scored(self, facts: dict[str, object], visit: str = "W0") -> None:
        self.study(visit)
        for state in (State.RECEIVED, State.COMPLETE):
            self.ledger.finish(self.claim(state), facts)
        self.now += timedelta(minutes=12)
        self.ledger.finish(self.claim(State.DEIDENTIFIED), {"total": 7, "status": "scored"})


def test_every_state_of_the_ledger_has_its_place(settings: NightlySettings) -> None:
    night = Night(settings)
    night.scored({"field_strength_tesla": 3.0, "spacing_mm": 3.3, "has_t1": True, "instances": 50})
    night.ledger.finish(night.claim(State.SCORED), {"delivered_to": ["pacs"]})
    night.scored({"field_strength_tesla": 1.5, "spacing_mm": 3.3, "has_t1": True}, visit="W12")
    undelivered = Message("the results could not be delivered: {error}", error="no PACS")
    again = NOW + timedelta(hours=1)
    night.ledger.fail(night.claim(State.SCORED), undelivered, again, {"reason_kind": "Output"})
    night.ledger.plan_changes("W0")
    change = night.ledger.claim_change("me", timedelta(minutes=9), 5)
    assert change is not None and change.follow_up_id == 2
    refused = Message("the images were refused: {error}", error="tilted")
    night.ledger.refuse_change(change, refused, {"reason_kind": "Registration"})
    night.study(participant="P2")
    unscorable = {"status": "unscorable", "reason_kind": "TooFewSlices"}
    night.ledger.reject(night.claim(State.RECEIVED), Message("it failed: {error}", error="too few"), unscorable)
    night.study(participant="P3")
    night.ledger.quarantine(night.claim(State.RECEIVED), Message("burnt-in annotation"))
    night.study(participant="P4")
    night.ledger.fail(night.claim(State.RECEIVED), Message("it failed: {error}", error="disk"), None)
    night.ledger.record_upload(UploadRecord("broken", "KSH", "inbox", ()))
    night.ledger.close_upload("broken", UploadState.REJECTED, Message("no DICOM file"))

    found = morning_of(night.ledger, settings, NOW)

    first, second, third, fourth, fifth, upload = found.studies
    assert (first.standing, first.delivery, first.total, first.files) == (Standing.SCORED, Delivery.DONE, 7, 50)
    assert first.to_score == timedelta(minutes=12) and first.deviations == ()
    assert (second.standing, second.delivery) == (Standing.SCORED, Delivery.PENDING)
    assert second.delivery_reason is not None and second.delivery_reason.quoted == "no PACS"
    assert second.deviations[0].startswith("field strength 1.5 T, at baseline 3 T")
    assert (third.standing, third.reasons[0].what) == (Standing.UNSCORABLE, BY_KIND["TooFewSlices"].what)
    assert (fourth.standing, fourth.reasons[0].what) == (Standing.QUARANTINED, "burnt-in annotation")
    assert fifth.standing is Standing.GIVEN_UP
    assert (upload.standing, upload.study, upload.is_upload) == (Standing.REJECTED, "broken", True)
    assert found.counts().needs_attention == 3
    assert second.not_compared is not None and second.not_compared.what == BY_KIND["Registration"].what
    assert [each.study for each in found.stuck_deliveries()] == [second.study]


def test_a_second_report_replaces_the_folder_of_its_date_as_a_whole(settings: NightlySettings) -> None:
    night = Night(settings)
    first = write_morning_report(settings, morning_of(night.ledger, settings, NOW))
    night.scored({})

    second = write_morning_report(settings, morning_of(night.ledger, settings, NOW))

    # 22:30 UTC is the next morning in the zone of the report.
    assert first == second == settings.paths.work_folder / "reports/2026-11-26/report.en.html"
    pages = sorted(f"site-{site.code}.html" for site in SITES)
    names = ["morning.json", "report.en.html", "report.zh.html", *pages, "sites.csv", "studies.csv"]
    assert sorted(file.name for file in second.parent.iterdir()) == names
    document = json.loads((second.parent / "morning.json").read_text())
    assert document["all"]["scored"] == document["sites"]["URM"]["scored"] == 1
    assert document["all"]["to_score_median"] == 720.0 and document["sites"]["KSH"]["to_score_median"] is None
    assert 'lang="zh' in (second.parent / "site-URM.html").read_text()
    assert 'lang="en' in (second.parent / "site-SHZ.html").read_text()
    assert [each.name for each in second.parent.parent.iterdir()] == ["2026-11-26"]


def test_a_report_reads_the_ledger_once(settings: NightlySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    versions, calls = Ledger.versions, []

    def counted(ledger: Ledger, **wanted: Any) -> list[StudyVersion]:
        calls.append(wanted)
        return versions(ledger, **wanted)

    monkeypatch.setattr(Ledger, "versions", counted)
    context = Context(settings, Night(settings).ledger, lambda: NOW, lambda *_, **__: None)

    page = report.write_report(context)

    assert page.is_file() and (settings.paths.work_folder / "metrics" / "sparcc.prom").is_file()
    assert len(calls) == 1


def test_a_report_that_cannot_be_written_leaves_the_earlier_one(
    settings: NightlySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = Night(settings)
    earlier = write_morning_report(settings, morning_of(night.ledger, settings, NOW)).read_bytes()

    def full(file: Path, _: str) -> None:
        raise OutputError(f"expected to write {file.name}, found the disk full; free space")

    monkeypatch.setattr(report, "write_text", full)
    with pytest.raises(OutputError, match="disk full"):
        write_morning_report(settings, morning_of(night.ledger, settings, NOW))

    folder = settings.paths.work_folder / "reports"
    assert (folder / "2026-11-26/report.en.html").read_bytes() == earlier
    assert [each.name for each in folder.iterdir()] == ["2026-11-26"]


def test_an_unknown_time_zone_is_named(settings: NightlySettings) -> None:
    wrong = settings.model_copy(update={"report": ReportSettings(time_zone="Asia/Urumqi_")})

    with pytest.raises(ConfigError, match="Asia/Urumqi_"):
        write_morning_report(wrong, morning_of(Night(settings).ledger, wrong, NOW))


def test_a_sites_page_shows_no_path_of_the_server_and_no_english_in_chinese(settings: NightlySettings) -> None:
    night = Night(settings)
    for site in SITES:
        night.study(site=site.code)
        error = "expected a table at /srv/identity/S01.csv, found no readable file; check the path"
        reason = Message("the manifest of the site cannot be used: {error}", error=error)
        night.ledger.quarantine(night.claim(State.RECEIVED), reason, {"waits_for": "manifest"})

    page = write_morning_report(settings, morning_of(night.ledger, settings, NOW))

    assert "/srv/identity/S01.csv" in page.read_text(encoding="utf-8")
    for site in SITES:
        text = (page.parent / f"site-{site.code}.html").read_text(encoding="utf-8")
        assert "/srv/identity" not in text and "expected a table" not in text
        assert ("该中心的对照表无法使用" if site.language == "zh" else "manifest of the site cannot be used") in text


def test_the_report_links_to_the_results_of_the_night(settings: NightlySettings) -> None:
    night = Night(settings)
    night.scored({})
    (version,) = night.ledger.versions()
    result = settings.paths.work_folder / str(version.result_folder) / "report.html"
    result.parent.mkdir(parents=True)
    result.write_text("the result")

    page = write_morning_report(settings, morning_of(night.ledger, settings, NOW))

    links = re.findall(r'href="(\.\./\.\./[^"]*)"', page.read_text(encoding="utf-8"))
    assert [(page.parent / link).read_text() for link in links] == ["the result"]
    assert "../../" not in (page.parent / "site-URM.html").read_text(encoding="utf-8")
