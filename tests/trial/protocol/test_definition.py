"""The protocol file: every setting sourced, no key unknown, and choices that are never made silently."""

from __future__ import annotations

from typing import Any

import pytest

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.trial.instruments import Instrument
from sparcc_pipeline.trial.protocol.choices import CHOICES, ClinicalDefinition
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.protocol.mapping import protocol_from
from sparcc_pipeline.trial.reading import Counts

from ..builders import MADE, content, protocol


@pytest.fixture
def shipped() -> Protocol:
    return protocol_from(content(), "shipped.toml")


def test_the_shipped_file_is_the_registry_entry(shipped: Protocol) -> None:
    assert shipped.registry == "ChiCTR2600118800"
    assert {arm.name: arm.participants for arm in shipped.arms} == {"taper": 100, "control": 50}
    assert shipped.participants == 150
    assert shipped.sites == 5
    assert (shipped.full_dose, shipped.full_dose_weeks) == ("15 mg daily", 12)
    limits = shipped.eligibility
    assert (limits.basdai_min, limits.patient_global_min, limits.age_min_years) == (4, 4, 18)
    assert (limits.alt_max_uln, limits.ast_max_uln, limits.bilirubin_max_uln) == (1.5, 1.5, 1.2)
    assert (limits.egfr_min_ml_min, limits.neutrophils_min_1e9_l, limits.platelets_min_1e9_l) == (60, 1.5, 100)
    target = shipped.target
    assert (target.asdas_inactive_below, target.asdas_low_below, target.sparcc_cut_off) == (1.3, 2.1, 2)


def test_the_shipped_file_leaves_every_contradiction_open(shipped: Protocol) -> None:
    assert [choice.key for choice in shipped.unset] == [choice.key for choice in CHOICES] == list(MADE)


def test_by_default_no_missing_item_rule_and_never_the_machine(shipped: Protocol) -> None:
    assert set(shipped.instruments.missing_items) == {Instrument.BASFI, Instrument.ASAS_HI, Instrument.ASQOL}
    assert set(shipped.instruments.missing_items.values()) == {0}
    assert shipped.imaging.counts is Counts.READINGS


def test_every_setting_has_a_source(shipped: Protocol) -> None:
    assert set(shipped.sources) == set(shipped.settings)
    assert all(source.strip() for source in shipped.sources.values())
    assert {"target.sparcc_cut_off", "visits.W84", "arms.taper", "imaging.adjudication_limit"} <= set(shipped.sources)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.key)
def test_an_unset_choice_stops_and_shows_both_readings(choice: Any) -> None:
    made = {key: value for key, value in MADE.items() if key != choice.key}
    open_ = protocol_from(content(**made), "mine.toml")

    with pytest.raises(ConfigError) as caught:
        open_.require(choice.key)

    text = str(caught.value)
    assert "mine.toml" in text and f"choices.{choice.key}" in text
    assert all(option.text in text and option.source in text for option in choice.options)
    open_.require(*made)


def test_choices_become_types() -> None:
    made = protocol(observation_weeks=24, low_disease_activity="asdas_inactive")

    assert (made.age_max_years, made.haemoglobin_min_g_l, made.observation_weeks) == (59, 90, 24)
    assert made.low_disease_activity is ClinicalDefinition.ASDAS_INACTIVE
    assert made.step_dose("second_step") == "15 mg, with two days between doses"


def _set(tables: dict[str, Any], dotted: str, value: Any) -> dict[str, Any]:
    *path, last = dotted.split(".")
    inner: Any = tables
    for key in path:
        inner = inner[int(key)] if key.isdigit() else inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return tables


SOURCED = {"value": 2, "source": "here"}


@pytest.mark.parametrize(
    ("dotted", "value", "text"),
    [
        ("targets", {}, "'targets'"),
        ("target.sparc_cut_off", SOURCED, "'target.sparc_cut_off'"),
        ("target.sparcc_cut_off.unit", "points", "'target.sparcc_cut_off.unit'"),
        ("target.sparcc_cut_off", None, "'target.sparcc_cut_off' in bad.toml, found none"),
        ("target.sparcc_cut_off", 2, "a table for 'target.sparcc_cut_off'"),
        ("target.sparcc_cut_off.source", " ", "'target.sparcc_cut_off.source'"),
        ("target.sparcc_cut_off.source", None, "'target.sparcc_cut_off.source'"),
        ("target.sparcc_cut_off.value", "2", "a number for 'target.sparcc_cut_off.value'"),
        ("target.sparcc_cut_off.value", True, "a number for 'target.sparcc_cut_off.value'"),
        ("target.sparcc_cut_off.value", 73, "0-72"),
        ("target.asdas_inactive_below.value", 2.2, "target.asdas_inactive_below"),
        ("imaging.counts.value", "best", "'readings', 'machine'"),
        ("instruments.basfi_missing_items.value", 10, "0-9"),
        ("choices.age_max_years", {"value": 65, "source": "x"}, "59 (18-59 years"),
        ("choices.age_min_years", SOURCED, "'choices.age_min_years'"),
        ("visits", [], "at least one table"),
        ("visits.0.weeks", 3, "'visits[0].weeks'"),
        ("visits.1.week", 0, "weeks [0, 0, 24"),
        ("visits.1.after_days", 80, "windows of visits that do not overlap"),
        ("visits.1.visit", "W0", "each of the visits once"),
        ("visits.1.before_days", -1, "0 or more"),
        ("arms.1.name", "taper", "each of the arms once"),
        ("arms.1.participants", 0, "at least 1"),
        ("schema", "sparcc-protocol/2", "sparcc-protocol/1"),
    ],
)
def test_a_fault_names_file_and_key(dotted: str, value: Any, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        protocol_from(_set(content(), dotted, value), "bad.toml")

    assert "bad.toml" in str(caught.value)
    assert text in str(caught.value)


def test_a_file_without_the_choices_about_several_visits_keeps_the_earlier_rules() -> None:
    tables = content(**MADE)
    kept = ("flare_asdas_rise", "flare_compared_with")
    added = [key for key in tables["target"] if key.startswith(("flare", "sustained", "confirm")) and key not in kept]
    for key in added:
        del tables["target"][key]
    read = protocol_from(tables, "mine.toml")

    assert len(added) == 12
    assert read.target == protocol_from(content(**MADE), "mine.toml").target
    assert read.sources["target.flare"].startswith("[D] the file does not set it")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flare": "c_optimise"}, "target.flare_compared_with"),
        ({"flare": "relapse"}, "target.flare"),
        ({"confirmation": "three_visits"}, "target.confirmation"),
        ({"sustained_from": "lowest"}, "target.sustained_from"),
        ({"sustained": "c_optimise", "sustained_last_week": 50}, "week 50"),
        ({"sustained": "c_optimise", "sustained_second_week": 34}, "week 32 or 34"),
        ({"flare_mri_lesions": 0}, "target.flare_mri_lesions"),
    ],
)
def test_choices_about_several_visits_that_cannot_be_applied_are_refused(
    changes: dict[str, object], message: str
) -> None:
    tables = content(**MADE)
    for key, value in changes.items():
        tables["target"][key] = {"value": value, "source": "a test"}

    with pytest.raises(ConfigError, match=message):
        protocol_from(tables, "mine.toml")
