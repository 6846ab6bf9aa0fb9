"""The morning report: what needs attention first, counted right, in both languages, whole or not at all."""

from __future__ import annotations

import csv
import html
import io
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sparcc_pipeline.app.nightly.morning.deviations import ImageFacts, deviations
from sparcc_pipeline.app.nightly.morning.model import Morning
from sparcc_pipeline.app.nightly.morning.page import morning_page, summary_text
from sparcc_pipeline.app.nightly.morning.studies import Reason, Standing
from sparcc_pipeline.app.nightly.morning.tables import sites_csv, studies_csv
from sparcc_pipeline.app.nightly.morning.words import BY_KIND
from sparcc_pipeline.app.nightly.settings_tables import ReportSettings
from sparcc_pipeline.app.report.language import language
from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.message import Message

from .morning_builders import SITES, ago, busy_morning, crowded_morning, morning, study

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
