"""The protocol of a trial: visits, arms, entry criteria, the score that counts, cut-offs.

`mapping.protocol_from` builds a `Protocol` from the content of a protocol file and refuses unknown keys. Every setting
has its source in `Protocol.sources`. A run that needs a choice (`choices.CHOICES`) that the file leaves unset stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.trial.crp import BelowDetectionRule
from sparcc_pipeline.trial.instruments import AsdasForm, Instrument
from sparcc_pipeline.trial.protocol.analysis import AnalysisPlan, existing_plan
from sparcc_pipeline.trial.protocol.choices import CHOICES, Choice, ChoiceValue, ClinicalDefinition, ImagingDefinition
from sparcc_pipeline.trial.protocol.over_time import Confirmation, FlareRules, SustainedRules
from sparcc_pipeline.trial.reading import Adjudication, Counts

DAYS_A_WEEK: Final = 7

UNCONFIRMED: Final = ("[D]", "[R]")
"""Marks in the source of a setting: the trial must confirm it."""


class MriSign(Enum):
    """Sources of the MRI sign of inflammation at entry; the value is the name in the protocol file."""

    READING = "reading"
    SCORE = "score"


@dataclass(frozen=True)
class Arm:
    """One arm: name, label, number of planned participants."""

    name: str
    label: str
    participants: int


@dataclass(frozen=True)
class PlannedVisit:
    """One planned visit.

    Parameters
    ----------
    week : weeks after baseline
    before_days, after_days : days that the visit may be early or late
    mri : True if imaging is planned at this visit
    """

    visit: str
    label: str
    week: int
    before_days: int
    after_days: int
    mri: bool = True

    @property
    def day(self) -> int:
        """Planned day; the baseline is day 0."""
        return self.week * DAYS_A_WEEK


@dataclass(frozen=True)
class EligibilityLimits:
    """Limits of the entry criteria. ULN: the laboratory's upper limit of normal."""

    age_min_years: int
    basdai_min: float
    patient_global_min: float
    mri_sign: MriSign
    alt_max_uln: float
    ast_max_uln: float
    bilirubin_max_uln: float
    egfr_min_ml_min: float
    neutrophils_min_1e9_l: float
    platelets_min_1e9_l: float
    lymphocytes_min_1e9_l: float
    nyha_max_class: int


@dataclass(frozen=True)
class ImagingRules:
    """The score that counts, and the conditions that it must fulfil.

    Parameters
    ----------
    slice_anchor : required choice of the six slices of a score (or the slices of the baseline)
    intensity_reference : required kind of the reference signal
    counts : readings or the machine
    adjudication_limit : two readers who differ by more need a third
    adjudicate_at_cut_off : two readings on two sides of the cut-off of the imaging half count only with a third
    reading_sd : standard deviation of the error of the score that counts, for probabilities
    """

    slice_anchor: str
    intensity_reference: str
    counts: Counts
    adjudication_limit: float
    reading_sd: float
    adjudicate_at_cut_off: bool = False


@dataclass(frozen=True)
class TargetRules:
    """Cut-offs of both halves in both definitions, and the rules about several visits.

    Parameters
    ----------
    asdas_inactive_below, asdas_low_below : the two definitions of the clinical half
    sparcc_cut_off : the imaging half is below it, or at most it
    confirmation : condition under which the target counts as met
    """

    asdas_inactive_below: float
    asdas_low_below: float
    sparcc_cut_off: float
    confirmation: Confirmation = Confirmation.SINGLE_VISIT
    sustained: SustainedRules = SustainedRules()
    flare: FlareRules = FlareRules()

    def clinical_cut_off(self, definition: ClinicalDefinition) -> float:
        """Return the ASDAS below which the clinical half is met."""
        return self.asdas_inactive_below if definition is ClinicalDefinition.ASDAS_INACTIVE else self.asdas_low_below


@dataclass(frozen=True)
class InstrumentRules:
    """The form of ASDAS, the number of items that may be missing (0: no rule), and the rule for CRP below detection."""

    asdas_form: AsdasForm
    missing_items: Mapping[Instrument, int]
    crp_below_detection: BelowDetectionRule = BelowDetectionRule.MISSING


@dataclass(frozen=True)
class Protocol:
    """A trial's protocol.

    More than ten fields: they are the tables of one protocol file, and large tables are types of their own.

    Parameters
    ----------
    file : name of the protocol file, for messages
    full_dose, full_dose_weeks : dose before the first step, and its weeks
    settings : value of every key of the file, by dotted name
    sources : source of every key of the file, by dotted name
    analysis : estimands and models; None if the file has none
    """

    file: str
    name: str
    registry: str
    sites: int
    arms: tuple[Arm, ...]
    visits: tuple[PlannedVisit, ...]
    full_dose: str
    full_dose_weeks: int
    eligibility: EligibilityLimits
    imaging: ImagingRules
    target: TargetRules
    instruments: InstrumentRules
    choices: Mapping[str, ChoiceValue]
    settings: Mapping[str, object]
    sources: Mapping[str, str]
    analysis: AnalysisPlan | None = None

    @property
    def participants(self) -> int:
        """Number of planned participants of all arms."""
        return sum(arm.participants for arm in self.arms)

    @property
    def baseline(self) -> PlannedVisit:
        """The visit at week 0."""
        return next(visit for visit in self.visits if visit.week == 0)

    def visit(self, name: str) -> PlannedVisit | None:
        """Return the planned visit of this name; None if there is none."""
        return next((visit for visit in self.visits if visit.visit == name), None)

    @property
    def unset(self) -> tuple[Choice, ...]:
        """Choices that the file leaves unset."""
        return tuple(choice for choice in CHOICES if choice.key not in self.choices)

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """Dotted names of the settings without a confirmed source: a decision of this project ([D]), or in wide use but
        not confirmed ([R])."""
        return tuple(key for key, source in self.sources.items() if any(mark in source for mark in UNCONFIRMED))

    def require(self, *keys: str) -> None:
        """Raise an error unless all these choices are set.

        Raises
        ------
        ConfigError : a choice is unset; the message lists each of them with its options
        """
        open_ = [choice for choice in self.unset if choice.key in keys]
        if open_:
            listed = " | ".join(f"choices.{c.key} ({c.what}): {c.readings}" for c in open_)
            raise ConfigError(
                f"expected every needed choice to be set in the protocol {self.file}, found {len(open_)} "
                f"choice{'' if len(open_) == 1 else 's'} unset: {listed}. Copy the file, set them under [choices] "
                "with their source, and give it with --protocol"
            )

    @property
    def plan(self) -> AnalysisPlan:
        """The analysis. Raises ConfigError if the file has none."""
        return existing_plan(self.analysis, self.file)

    @property
    def age_max_years(self) -> int:
        """Highest age at entry. Raises ConfigError if the choice is unset."""
        return int(self._chosen("age_max_years"))

    @property
    def haemoglobin_min_g_l(self) -> int:
        """Lowest haemoglobin at entry. Raises ConfigError if the choice is unset."""
        return int(self._chosen("haemoglobin_min_g_l"))

    @property
    def observation_weeks(self) -> int:
        """Weeks of observation after the first step. Raises ConfigError if the choice is unset."""
        return int(self._chosen("observation_weeks"))

    @property
    def low_disease_activity(self) -> ClinicalDefinition:
        """Definition of low disease activity. Raises ConfigError if the choice is unset."""
        return ClinicalDefinition(self._chosen("low_disease_activity"))

    @property
    def dual_clinical(self) -> ClinicalDefinition:
        """Definition of the clinical half. Raises ConfigError if the choice is unset."""
        return ClinicalDefinition(self._chosen("dual_clinical"))

    @property
    def dual_imaging(self) -> ImagingDefinition:
        """Definition of the imaging half. Raises ConfigError if the choice is unset."""
        return ImagingDefinition(self._chosen("dual_imaging"))

    @property
    def adjudication(self) -> Adjudication:
        """The rule by which a score needs a third reading before it counts."""
        rules = self.imaging
        return self.third_reading if rules.adjudicate_at_cut_off else Adjudication(rules.adjudication_limit)

    @property
    def third_reading(self) -> Adjudication:
        """The rule by which the reading page asks for a third reading: also for readings on two sides of the cut-off.

        With the definition of the imaging half open, by each definition.
        """
        chosen, cut_off = self.choices.get("dual_imaging"), self.target.sparcc_cut_off
        sides = [
            (cut_off, each is ImagingDefinition.UP_TO) for each in ImagingDefinition if chosen in (None, each.value)
        ]
        return Adjudication(self.imaging.adjudication_limit, tuple(sides))

    def step_dose(self, step: str) -> str:
        """Return the dose of "first_step" or "second_step" as text. Raises ConfigError if the choice is unset."""
        value = self._chosen(step)
        choice = next(choice for choice in CHOICES if choice.key == step)
        return next(option.text for option in choice.options if option.value == value)

    def _chosen(self, key: str) -> ChoiceValue:
        self.require(key)
        return self.choices[key]
