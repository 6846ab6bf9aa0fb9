"""Building of a `Protocol` from the content of a protocol file.

Every key must be known, have the right type, be in range and have a source. A setting is a table
`{ value = ..., source = "..." }`; arms and visits are arrays of tables with one `source` each.
"""

from __future__ import annotations

from typing import Final, cast

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.trial.crp import BelowDetectionRule
from sparcc_pipeline.trial.instruments import (
    ASAS_HI_ITEMS,
    ASQOL_ITEMS,
    BASFI_ITEMS,
    AsdasForm,
    Instrument,
)
from sparcc_pipeline.trial.protocol.analysis import analysis_from, require_plan
from sparcc_pipeline.trial.protocol.choices import CHOICES, ChoiceValue
from sparcc_pipeline.trial.protocol.definition import (
    Arm,
    EligibilityLimits,
    ImagingRules,
    InstrumentRules,
    MriSign,
    PlannedVisit,
    Protocol,
    TargetRules,
)
from sparcc_pipeline.trial.protocol.over_time import (
    Confirmation,
    CountsFrom,
    FlareDefinition,
    FlareRules,
    SustainedDefinition,
    SustainedRules,
    require_over_time,
)
from sparcc_pipeline.trial.protocol.table import FLAG, TEXT, WHOLE, Settings, SourcedTable, Tables
from sparcc_pipeline.trial.reading import LARGEST_TOTAL, Counts

SCHEMA: Final = "sparcc-protocol/1"
"""Value of `schema` in a protocol file."""

MISSING_ITEM_RULES: Final = {
    Instrument.BASFI: BASFI_ITEMS,
    Instrument.ASAS_HI: ASAS_HI_ITEMS,
    Instrument.ASQOL: ASQOL_ITEMS,
}
"""Instruments that may have a missing-item rule, with their number of items."""


def protocol_from(content: Tables, file: str) -> Protocol:
    """Return the protocol from the content of a file.

    Parameters
    ----------
    content : the tables of the TOML file
    file : name of the file, for messages

    Raises
    ------
    ConfigError : a key is unknown, missing or without a source, or its value is not allowed
    """
    top = SourcedTable(content, file, "")
    schema = top.plain("schema", TEXT)
    if schema != SCHEMA:
        raise ConfigError(f"expected schema {SCHEMA!r} in {file}, found {schema!r}; use a file of this version")
    settings = Settings()
    trial, taper = top.table("trial"), top.table("taper")
    protocol = Protocol(
        file=file,
        name=trial.text("name", settings),
        registry=trial.text("registry", settings),
        sites=trial.whole("sites", settings, 1, 10_000),
        arms=tuple(_arm(table, settings) for table in top.tables("arms")),
        visits=tuple(_visit(table, settings) for table in top.tables("visits")),
        full_dose=taper.text("full_dose", settings),
        full_dose_weeks=taper.whole("full_dose_weeks", settings, 1, 520),
        eligibility=_eligibility(top.table("eligibility"), settings),
        imaging=_imaging(top.table("imaging"), settings),
        target=_target(top.table("target"), settings),
        instruments=_instruments(top.table("instruments"), settings),
        choices=_choices(top.table("choices"), settings),
        analysis=analysis_from(top, settings),
        settings=settings.values,
        sources=settings.sources,
    )
    trial.finish()
    taper.finish()
    top.finish()
    _require_sound(protocol)
    return protocol


def _arm(table: SourcedTable, settings: Settings) -> Arm:
    name = str(table.plain("name", TEXT))
    arm = Arm(name, str(table.plain("label", TEXT)), cast(int, table.plain("participants", WHOLE)))
    if arm.participants < 1:
        raise table.wrong("participants", arm.participants, "at least 1")
    _note_source(table, f"arms.{name}", f"{arm.label}, {arm.participants} participants", settings)
    return arm


def _visit(table: SourcedTable, settings: Settings) -> PlannedVisit:
    week, before, after = (cast(int, table.plain(key, WHOLE)) for key in ("week", "before_days", "after_days"))
    visit = PlannedVisit(
        str(table.plain("visit", TEXT)),
        str(table.plain("label", TEXT)),
        week,
        before,
        after,
        cast(bool, table.plain("mri", FLAG)),
    )
    for key, value in (("week", week), ("before_days", before), ("after_days", after)):
        if value < 0:
            raise table.wrong(key, value, "0 or more")
    window = f"week {week}, {before} days before to {after} after{', MRI' if visit.mri else ''}"
    _note_source(table, f"visits.{visit.visit}", window, settings)
    return visit


def _note_source(table: SourcedTable, key: str, value: str, settings: Settings) -> None:
    source = str(table.plain("source", TEXT))
    if not source.strip():
        raise table.wrong("source", source, "where the value comes from")
    table.finish()
    settings.values[key], settings.sources[key] = value, source


def _eligibility(table: SourcedTable, settings: Settings) -> EligibilityLimits:
    limits = EligibilityLimits(
        age_min_years=table.whole("age_min_years", settings, 0, 120),
        basdai_min=table.number("basdai_min", settings, 0, 10),
        patient_global_min=table.number("patient_global_min", settings, 0, 10),
        mri_sign=table.one_of("mri_sign", MriSign, settings),
        alt_max_uln=table.number("alt_max_uln", settings, 0.1, 100),
        ast_max_uln=table.number("ast_max_uln", settings, 0.1, 100),
        bilirubin_max_uln=table.number("bilirubin_max_uln", settings, 0.1, 100),
        egfr_min_ml_min=table.number("egfr_min_ml_min", settings, 0, 200),
        neutrophils_min_1e9_l=table.number("neutrophils_min_1e9_l", settings, 0, 100),
        platelets_min_1e9_l=table.number("platelets_min_1e9_l", settings, 0, 2000),
        lymphocytes_min_1e9_l=table.number("lymphocytes_min_1e9_l", settings, 0, 20),
        nyha_max_class=table.whole("nyha_max_class", settings, 0, 3),
    )
    table.finish()
    return limits


def _imaging(table: SourcedTable, settings: Settings) -> ImagingRules:
    rules = ImagingRules(
        slice_anchor=table.text("slice_anchor", settings),
        intensity_reference=table.text("intensity_reference", settings),
        counts=table.one_of("counts", Counts, settings),
        adjudication_limit=table.number("adjudication_limit", settings, 0, LARGEST_TOTAL),
        reading_sd=table.number("reading_sd", settings, 0.01, LARGEST_TOTAL),
        adjudicate_at_cut_off=table.flag("adjudicate_at_cut_off", settings),
    )
    table.finish()
    return rules


def _target(table: SourcedTable, settings: Settings) -> TargetRules:
    rules = TargetRules(
        asdas_inactive_below=table.number("asdas_inactive_below", settings, 0, 10),
        asdas_low_below=table.number("asdas_low_below", settings, 0, 10),
        sparcc_cut_off=table.number("sparcc_cut_off", settings, 0, LARGEST_TOTAL),
        confirmation=table.one_of("confirmation", Confirmation, settings, Confirmation.SINGLE_VISIT),
        sustained=_sustained(table, settings),
        flare=_flare(table, settings),
    )
    table.finish()
    return rules


def _sustained(table: SourcedTable, settings: Settings) -> SustainedRules:
    usual = SustainedRules()
    return SustainedRules(
        definition=table.one_of("sustained", SustainedDefinition, settings, usual.definition),
        first_week=table.whole("sustained_first_week", settings, 0, 520, usual.first_week),
        second_week=table.whole("sustained_second_week", settings, 0, 520, usual.second_week),
        last_week=table.whole("sustained_last_week", settings, 0, 520, usual.last_week),
        counts_from=table.one_of("sustained_from", CountsFrom, settings, usual.counts_from),
    )


def _flare(table: SourcedTable, settings: Settings) -> FlareRules:
    usual = FlareRules()
    return FlareRules(
        definition=table.one_of("flare", FlareDefinition, settings, usual.definition),
        counts_from=table.one_of("flare_compared_with", CountsFrom, settings),
        asdas_rise=table.number("flare_asdas_rise", settings, 0.01, 10),
        asdas_high=table.number("flare_asdas_high", settings, 0.01, 10, usual.asdas_high),
        asdas_very_high=table.number("flare_asdas_very_high", settings, 0.01, 10, usual.asdas_very_high),
        basdai_from=table.number("flare_basdai_from", settings, 0, 10, usual.basdai_from),
        basdai_rise=table.number("flare_basdai_rise", settings, 0.01, 10, usual.basdai_rise),
        mri_lesions=table.whole("flare_mri_lesions", settings, 1, 72, usual.mri_lesions),
    )


def _instruments(table: SourcedTable, settings: Settings) -> InstrumentRules:
    form = table.one_of("asdas_form", AsdasForm, settings)
    missing = {
        instrument: table.whole(f"{instrument.value}_missing_items", settings, 0, items - 1)
        for instrument, items in MISSING_ITEM_RULES.items()
    }
    below = table.one_of("crp_below_detection", BelowDetectionRule, settings)
    table.finish()
    return InstrumentRules(form, missing, below)


def _choices(table: SourcedTable, settings: Settings) -> dict[str, ChoiceValue]:
    chosen: dict[str, ChoiceValue] = {}
    for choice in CHOICES:
        if table.has(choice.key):
            value = table.sourced(choice.key, WHOLE if isinstance(choice.options[0].value, int) else TEXT, settings)
            if value not in [option.value for option in choice.options]:
                raise table.wrong(choice.key, value, f"one of {choice.readings}")
            chosen[choice.key] = value
    table.finish()
    return chosen


def _require_sound(protocol: Protocol) -> None:
    """Check several keys together: unique names, a baseline, weeks in order, windows that do not overlap."""
    for what, names in (("arms", [a.name for a in protocol.arms]), ("visits", [v.visit for v in protocol.visits])):
        if len(set(names)) < len(names):
            raise ConfigError(f"expected each of the {what} once in {protocol.file}, found {names}; rename one")
    weeks = [visit.week for visit in protocol.visits]
    if weeks[0] != 0 or weeks != sorted(set(weeks)):
        raise ConfigError(
            f"expected visits from week 0 on, in order, in {protocol.file}, found weeks {weeks}; sort them"
        )
    for earlier, later in zip(protocol.visits, protocol.visits[1:], strict=False):
        if earlier.day + earlier.after_days >= later.day - later.before_days:
            raise ConfigError(
                f"expected windows of visits that do not overlap in {protocol.file}, found those of {earlier.visit} "
                f"and {later.visit}; make them narrower"
            )
    if protocol.analysis is not None:
        visits = {visit.visit: visit.mri for visit in protocol.visits}
        arms = [arm.name for arm in protocol.arms]
        require_plan(protocol.analysis, visits, protocol.baseline.visit, arms, protocol.file)
    if protocol.target.asdas_inactive_below > protocol.target.asdas_low_below:
        raise ConfigError(
            f"expected target.asdas_inactive_below at or under target.asdas_low_below in {protocol.file}, found "
            f"{protocol.target.asdas_inactive_below:g} over {protocol.target.asdas_low_below:g}; change one"
        )
    require_over_time(
        protocol.target.sustained, protocol.target.flare, tuple(weeks), protocol.full_dose_weeks, protocol.file
    )
