"""Assumptions of a simulated trial: typed values, each with its source. `assumptions_file.py` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparcc_pipeline.trial.protocol.choices import ChoiceValue


@dataclass(frozen=True)
class Activity:
    """Activity on MRI, and the thresholds above which a quadrant has edema. Doses are shares of the full dose.

    More than ten fields: they are the keys of one table of the file, and every one is a parameter of one model.
    """

    baseline_mean: float
    baseline_sd: float
    effect_mean: float
    effect_sd: float
    visit_sd: float
    half_time_weeks: float
    half_effect_dose: float
    side_sd: float
    quadrant_sd: float
    slice_sd: float
    intense_from: float
    deep_from: float


@dataclass(frozen=True)
class Clinical:
    """Clinical activity (standard deviation 1 at entry), and the answers and CRP that follow from it.

    More than ten fields: they are the keys of one table of the file, and every one is a parameter of one model.
    """

    item_mean: float
    item_slope: float
    item_sd: float
    effect_mean: float
    effect_sd: float
    visit_sd: float
    imaging_correlation: float
    crp_median_mg_l: float
    crp_slope: float
    crp_sd: float
    esr_median_mm_h: float
    peripheral_lower: float
    function_lower: float
    health_share: float
    health_slope: float
    abnormal_laboratory: float


@dataclass(frozen=True)
class Reader:
    """Errors of a reader on the scale of activity: of an item, of a reading, and between readers.

    `item_sd` is given at the true totals of `Expected.reader_levels`; between them it is interpolated.
    """

    item_sd: tuple[float, ...]
    case_sd: float
    severity_sd: float
    not_evaluable: float
    read_again: float


@dataclass(frozen=True)
class Machine:
    """Errors of the machine on the same scale, and the error that it reports for its total."""

    item_sd: float
    case_sd: float
    severity: float
    total_sd: float
    unscorable: float


@dataclass(frozen=True)
class Conduct:
    """Conduct of the trial: sites, dropout, missing data, days of the visits.

    `dropout_seen` and `dropout_unseen` are changes of the log odds of leaving for each point of ASDAS: at the last
    visit that took place (missing at random), and at this visit, which is then missing (missing not at random).
    """

    site_shares: tuple[float, ...]
    dropout_a_visit: float
    dropout_seen: float
    dropout_unseen: float
    missed_visit: float
    missed_mri: float
    missing_item: float
    missing_crp: float
    day_sd: float
    late_visit: float


@dataclass(frozen=True)
class Margins:
    """Margins of groups: largest acceptable difference of the mean changes of the arms."""

    sparcc: float
    asdas: float


@dataclass(frozen=True)
class Analysis:
    """The analysis of both primary outcomes: their hierarchy, and the number of imputed data sets."""

    hierarchy: str
    imputations: float


@dataclass(frozen=True)
class Expected:
    """Facts that the simulated trials must show; they are checked after each simulation.

    Parameters
    ----------
    baseline_sparcc : mean true SPARCC of those randomised
    low_activity, low_activity_week : share under the protocol's low ASDAS at this week, on the full dose
    imaging_remission, imaging_remission_week : share of true SPARCC under the cut-off at this week, on the full dose
    reader_levels, reader_sd : true totals, and the standard deviation of a reading's error at each
    reader_sdc_of_two, machine_sdc : smallest detectable change of the mean of two readers, and of the machine
    """

    baseline_sparcc: float
    low_activity: float
    low_activity_week: float
    imaging_remission: float
    imaging_remission_week: float
    reader_levels: tuple[float, ...]
    reader_sd: tuple[float, ...]
    reader_sdc_of_two: float
    machine_sdc: float


@dataclass(frozen=True)
class Assumptions:
    """All assumptions of a simulation; `values` and `sources` are by dotted name.

    `to_calibrate` names the values that the file leaves to `calibrate.calibrated`; until then they are NaN.
    """

    activity: Activity
    clinical: Clinical
    reader: Reader
    machine: Machine
    conduct: Conduct
    margins: Margins
    analysis: Analysis
    expected: Expected
    choices: Mapping[str, ChoiceValue]
    values: Mapping[str, object]
    sources: Mapping[str, str]
    to_calibrate: frozenset[str] = frozenset()


CALIBRATED: Final = "calibrated"
"""Value of a key that the program calibrates."""

CAN_BE_CALIBRATED: Final[Mapping[str, str]] = {
    "activity.baseline_mean": "expected.baseline_sparcc",
    "activity.effect_mean": "expected.imaging_remission",
    "clinical.effect_mean": "expected.low_activity",
    "reader.item_sd": "expected.reader_sd",
    "machine.item_sd": "expected.machine_sdc",
}
"""Values that can be calibrated, in the order of their calibration, each with the fact that they then show."""

HIERARCHIES: Final = ("sparcc_then_asdas", "asdas_then_sparcc", "both_required", "holm")
"""Procedures for the two primary outcomes."""

LARGEST_MARGINS: Final[Mapping[str, tuple[float, str]]] = {
    "margins.sparcc": (2.5, "the smallest change that matters in one person"),
    "margins.asdas": (0.9, "the worsening that matters in one person"),
}
"""A margin of groups must be under these changes of single persons. Sources: [Maksymowych2012]; [Molto2018]."""
