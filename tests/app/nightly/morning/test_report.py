"""The morning report: what needs attention first, counted right, in both languages, whole or not at all."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import FileRecord, Ledger, StudyVersion, UploadRecord
from sparcc_pipeline.app.ledger.states import State, UploadState
from sparcc_pipeline.app.nightly.morning import report
from sparcc_pipeline.app.nightly.morning.deviations import ImageFacts, deviations
from sparcc_pipeline.app.nightly.morning.ledger import morning_of
from sparcc_pipeline.app.nightly.morning.model import Morning
from sparcc_pipeline.app.nightly.morning.page import morning_page, summary_text
from sparcc_pipeline.app.nightly.morning.report import write_morning_report
from sparcc_pipeline.app.nightly.morning.studies import Delivery, Reason, Standing
from sparcc_pipeline.app.nightly.morning.tables import sites_csv, studies_csv
from sparcc_pipeline.app.nightly.morning.words import BY_KIND
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.app.nightly.settings_tables import Paths, ReportSettings, RunSettings, SiteSettings
from sparcc_pipeline.app.nightly.work.outcome import Context
from sparcc_pipeline.app.report.language import language
from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.errors import ConfigError, OutputError
from sparcc_pipeline.message import Message

from .morning_builders import NOW, SITES, ago, busy_morning, crowded_morning, morning, study

LANGUAGES: tuple[LanguageCode, ...] = ("en", "zh")


def page(of: Morning, code: LanguageCode = "en", site: int | None = None) -> str:
    if site is None:
        return morning_page(of, language(code), {})
    return morning_page(of.of_site(SITES[site].code), language(code), {}, SITES[site])


def words(text: str) -> str:
    """Return the text of a page."""
    text = re.sub(r"<(style|title)>.*?</\1>", " ", text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


# What needs attention


def test_what_needs_attention_is_first_of_this_night_and_then_the_oldest() -> None:
    reject: dict[str, Any] = {"standing": Standing.REJECTED, "reasons": (BY_KIND["NotStir"],)}
    found = morning(
        study(1, received_at=ago(days=9), **reject),
        study(2, received_at=ago(days=20), **reject),
        study(3, received_at=ago(hours=2), **reject),
        study(4, standing=Standing.QUARANTINED),
        study(5),
        study(6, standing=Standing.GIVEN_UP),
        study(7, standing=Standing.RETRYING),
    ).needing_attention()

    assert [each.study for each in found] == ["4", "3", "2", "1", "6"]


def test_a_rejected_study_is_not_listed_once_its_visit_is_scored_from_later_images() -> None:
    refused = study(1, participant="URM-001", visit="W12", standing=Standing.REJECTED, received_at=ago(days=3))
    again = study(2, participant="URM-001", visit="W12", received_at=ago(days=1))
    earlier = study(2, participant="URM-001", visit="W12", received_at=ago(days=8))
    elsewhere = study(2, "KSH", participant="URM-001", visit="W12", received_at=ago(days=1))

    assert morning(refused, again).needing_attention() == []
    assert morning(refused, earlier).needing_attention() == [refused]
    assert morning(refused, elsewhere).needing_attention() == [refused]


def test_a_rejected_study_of_no_participant_stays_listed_whatever_is_scored() -> None:
    refused = study(1, participant=None, visit=None, standing=Standing.REJECTED, received_at=ago(days=3))

    assert morning(refused, study(2, received_at=ago(days=1))).needing_attention() == [refused]


def test_superseded_versions_need_no_attention() -> None:
    assert morning(study(1, standing=Standing.REJECTED, superseded=True)).counts().needs_attention == 0


# Figures


def test_the_figures_of_all_are_the_sums_of_the_sites() -> None:
    whole = busy_morning()
    parts = [whole.of_site(site.code).counts() for site in SITES]

    for name in ("received", "scored", "unscorable", "quarantined", "rejected", "failed", "in_work", "superseded"):
        assert getattr(whole.counts(), name) == sum(getattr(part, name) for part in parts), name
    assert sum(night.received for night in whole.nights()) == len([s for s in whole.studies if not s.superseded])


def test_time_to_score_is_of_this_night_only() -> None:
    slow = study(1, received_at=ago(days=3), scored_at=ago(hours=1))
    quick = study(2, received_at=ago(hours=2), scored_at=ago(hours=2) + timedelta(minutes=10))
    old = study(3, received_at=ago(days=9), scored_at=ago(days=2))
    counts = morning(slow, quick, old).counts()

    assert counts.scored == 2 and counts.received == 1
    assert counts.to_score_worst == timedelta(days=3) - timedelta(hours=1)
    assert counts.to_score_median == (timedelta(minutes=10) + timedelta(hours=71)) / 2


def test_the_tables_hold_each_site_and_each_open_study() -> None:
    sites = list(csv.DictReader(io.StringIO(sites_csv(busy_morning()))))
    studies = list(csv.DictReader(io.StringIO(studies_csv(busy_morning()))))

    assert [row["site"] for row in sites] == [site.code for site in SITES]
    assert (sites[1]["quarantined"], sites[1]["deliveries_pending"], sites[4]["to_score_median_minutes"]) == (
        "1",
        "1",
        "",
    )
    listed = {row["study"]: row for row in studies}
    assert {each.study for each in busy_morning().needing_attention()} <= set(listed)
    assert listed["603"]["remedy"] == BY_KIND["NotStir"].remedy and listed["601"]["participant"] == ""
    # A missing score is empty, never 0.
    assert listed["607"]["total"] == ""


# Pages


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_coordinators_page_shows_what_to_do_and_what_to_type(code: LanguageCode) -> None:
    text = words(page(busy_morning(), code))

    for command in ("sparcc nightly release 601", "sparcc nightly retry 604"):
        assert command in text
    remedy = BY_KIND["IncompleteSeries"].remedy
    assert remedy is not None and language(code).sentence(remedy) in text
    assert "SPAIR" in text, "the page quotes the program's own words"


def test_a_study_that_waits_for_the_manifest_has_no_command_to_release_it() -> None:
    waiting = study(1, standing=Standing.QUARANTINED, participant=None, visit=None, waits_for_manifest=True)

    text = words(page(morning(waiting)))

    assert "sparcc nightly whose 1" in text and "sparcc nightly release" not in text


def test_a_sites_page_shows_its_own_studies_and_no_commands() -> None:
    text = words(page(busy_morning(), "zh", site=1))

    assert "KSH-" in text
    assert not re.search(r"(URM|YIN|KRL|SHZ)-\d|sparcc nightly|sparcc doctor", text)


@pytest.mark.parametrize("code", LANGUAGES)
def test_an_empty_night_has_a_sentence_of_its_own(code: LanguageCode) -> None:
    text = words(page(morning(), code))

    assert language(code).say("Nothing waits for a person.") in text
    assert language(code).say("No study came in these nights.") in text
    assert "None" not in text and "nan" not in text


def test_a_hundred_studies_are_all_there_most_of_them_folded() -> None:
    text = page(crowded_morning())

    assert text.count("sparcc nightly release") == 25
    assert len(re.findall(r"no\. \d+", words(text))) == 100
    assert text.index("<details>") < text.index("By site")


def test_a_chinese_page_is_chinese() -> None:
    text = words(page(busy_morning(), "zh"))
    # Names of sites, the tests' own reasons and quotations from the program stay as they are.
    reasons = (
        "No line of the manifest is for this study",
        "Add it to the manifest",
        "Burnt-in annotation on 3 of 25 images",
        "expected a STIR series, found fat-suppressed T2 (SPAIR)",
        "accept it with --accept-fat-suppressed",
    )
    commands = ("sparcc nightly release", "sparcc nightly whose", "sparcc nightly retry", "sparcc doctor", "--reason")
    for known in (*(site.name for site in SITES), *reasons, *commands, "sparcc-pipeline", "STIR", "PACS"):
        text = text.replace(known, "")

    assert re.findall(r"[a-z]{3,}", text) == []


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_follow_up_that_could_not_be_compared_is_listed_with_what_to_do(code: LanguageCode) -> None:
    refused = BY_KIND["Registration"]
    listed = study(1, not_compared=replace(refused, quoted="expected bones that overlap"))
    old = study(2, not_compared=refused, received_at=ago(days=3), participant="URM-999")

    text = words(page(morning(listed, old), code))

    assert refused.remedy is not None and language(code).sentence(refused.remedy) in text
    assert "expected bones that overlap" in text and "URM-999" not in text
    assert morning(listed).counts().needs_attention == 0


def test_text_of_a_site_is_escaped() -> None:
    hostile = Reason(Message("released: {reason}", reason="<script>alert(1)</script>"))

    text = page(morning(study(1, standing=Standing.QUARANTINED, reasons=(hostile,))))

    assert "<script" not in text and "&lt;script&gt;" in text


def test_a_problem_of_the_night_is_above_all() -> None:
    problem = Message("the intake could not run")

    text = page(morning(study(1, standing=Standing.QUARANTINED), problems=(problem,)))

    assert text.index("The intake could not run.") < text.index("sparcc nightly release 1")
    assert "The intake could not run." in summary_text(morning(problems=(problem,)), language("en"))


# Deviations


def test_deviations_name_what_differs_and_the_limit() -> None:
    limits = ReportSettings()
    baseline = ImageFacts(spacing_mm=3.3, stack_mm=66, has_t1=True, field_strength_t=3.0)

    assert deviations(baseline, None, limits) == ()
    # A 3 T scanner may write 2.89 T; 3.5 mm is within a tenth of 3.3 mm.
    assert deviations(ImageFacts(3.5, 66, True, 2.893), baseline, limits) == ()
    found = deviations(ImageFacts(6.0, 66, False, 1.5), baseline, limits)
    assert [str(each).partition(",")[0].partition(":")[0] for each in found] == [
        "field strength 1.5 T",
        "slices 6.0 mm apart",
        "six slices cover 36 mm",
        "no semicoronal T1-weighted series",
    ]


def test_a_missing_header_is_no_deviation() -> None:
    silent = ImageFacts.of({"spacing_mm": None, "has_t1": "yes"})

    assert deviations(silent, ImageFacts(3.3, 66, True, 3.0), ReportSettings(coverage_mm=60.0)) == ()


def test_limits_of_the_trial_count_where_it_sets_them() -> None:
    limits = ReportSettings(coverage_mm=60.0, field_strength_tesla=[3.0], t1_expected=False)

    found = deviations(ImageFacts(4.0, 48.0, False, 1.5), None, limits)

    assert [str(each) for each in found] == [
        "field strength 1.5 T, the trial takes 3 T",
        "the stack is 48 mm deep, the trial asks for 60 mm: add slices",
    ]


# From the ledger to files


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
