"""The dual target: whether a participant reaches the clinical and the imaging half at one visit.

The result is a report, never a prescription. Missing data is never a "no": a half without a value is not assessable.
No source defines a dual target for this drug, so every cut-off and definition comes from the protocol.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from sparcc_pipeline.trial.cut_off import at_most, below, exact
from sparcc_pipeline.trial.instruments import InstrumentResult
from sparcc_pipeline.trial.protocol.choices import ClinicalDefinition, ImagingDefinition
from sparcc_pipeline.trial.protocol.definition import Protocol, TargetRules
from sparcc_pipeline.trial.reading import CountedScore, MachineScore, ScoreSource


class TargetStatus(Enum):
    """The dual target at a visit; the value is the name in tables."""

    BOTH = "both"
    CLINICAL_ONLY = "clinical only"
    IMAGING_ONLY = "imaging only"
    NEITHER = "neither"
    NOT_ASSESSABLE = "not assessable"


@dataclass(frozen=True)
class HalfResult:
    """One half of the target in one definition.

    Parameters
    ----------
    definition : name in the protocol file
    cut_off : limit of the value
    inclusive : True if the cut-off itself meets the target
    value : ASDAS or SPARCC; None without a value
    """

    definition: str
    cut_off: float
    inclusive: bool
    value: float | None

    @property
    def met(self) -> bool | None:
        """True or False; None without a value."""
        if self.value is None:
            return None
        return (at_most if self.inclusive else below)(self.value, self.cut_off)

    @property
    def distance(self) -> float | None:
        """Value minus cut-off; None without a value."""
        return None if self.value is None else exact(self.value - self.cut_off)


@dataclass(frozen=True)
class DualTarget:
    """The dual target of one participant at one visit.

    Parameters
    ----------
    status : status under the protocol's definitions
    clinical, imaging : each half, in both definitions
    clinical_chosen, imaging_chosen : the protocol's definitions
    score : the imaging score that counts, with its source
    probability_imaging : probability that the imaging half is met, given the uncertainty of the score; None where
        unknown
    reasons : why a half is not assessable
    """

    participant: str
    visit: str
    status: TargetStatus
    clinical: Mapping[ClinicalDefinition, HalfResult]
    imaging: Mapping[ImagingDefinition, HalfResult]
    clinical_chosen: ClinicalDefinition
    imaging_chosen: ImagingDefinition
    score: CountedScore
    probability_imaging: float | None
    reasons: tuple[str, ...]

    @property
    def met(self) -> bool | None:
        """True if both halves are met, False if one is missed, else None."""
        halves = (self.clinical_half.met, self.imaging_half.met)
        if False in halves:
            return False
        return None if None in halves else True

    def status_by(self, clinical: ClinicalDefinition, imaging: ImagingDefinition) -> TargetStatus:
        """Return the status under any pair of definitions."""
        return target_status(self.clinical[clinical].met, self.imaging[imaging].met)

    @property
    def clinical_half(self) -> HalfResult:
        """The clinical half in the protocol's definition."""
        return self.clinical[self.clinical_chosen]

    @property
    def imaging_half(self) -> HalfResult:
        """The imaging half in the protocol's definition."""
        return self.imaging[self.imaging_chosen]


def dual_target(
    participant: str,
    visit: str,
    asdas: InstrumentResult,
    score: CountedScore,
    machine: MachineScore | None,
    protocol: Protocol,
) -> DualTarget:
    """Return the dual target at one visit; both halves must be of this visit.

    Parameters
    ----------
    asdas : ASDAS in the form of the protocol
    score : the imaging score that counts
    machine : the machine's score of the visit, for its uncertainty; used only if it is the score that counts

    Raises
    ------
    ConfigError : the protocol leaves a definition unset

    Examples
    --------
    ASDAS 1.1 is under 1.3, SPARCC 2 is not under 2:

    >>> from sparcc_pipeline.trial.instruments import Instrument
    >>> from sparcc_pipeline.trial.protocol.definition import ImagingRules
    >>> from sparcc_pipeline.trial.reading import Counts
    >>> imaging = ImagingRules("transitional slice", "presacral_vessels", Counts.READINGS, 3.4, 1.23)
    >>> target = TargetRules(1.3, 2.1, 2.0)
    >>> chosen = {"dual_clinical": "asdas_inactive", "dual_imaging": "below_cut_off"}
    >>> protocol = Protocol("a.toml", "A", "", 1, (), (), "", 12, None, imaging, target, None, chosen, {}, {})
    >>> asdas = InstrumentResult(Instrument.ASDAS_CRP, 1.1)
    >>> found = dual_target("P001", "W12", asdas, CountedScore(2.0, ScoreSource.TWO_READINGS), None, protocol)
    >>> found.status.value, found.met, found.probability_imaging
    ('clinical only', False, 0.5)
    >>> found.status_by(ClinicalDefinition.ASDAS_INACTIVE, ImagingDefinition.UP_TO).value
    'both'
    """
    protocol.require("dual_clinical", "dual_imaging")
    clinical = {each: clinical_half(asdas.value, each, protocol.target) for each in ClinicalDefinition}
    imaging = {each: imaging_half(score.value, each, protocol.target) for each in ImagingDefinition}
    reasons = [
        f"{half}: {reason or 'no value'}"
        for half, value, reason in (("clinical", asdas.value, asdas.reason), ("imaging", score.value, score.reason))
        if value is None
    ]
    return DualTarget(
        participant,
        visit,
        target_status(clinical[protocol.dual_clinical].met, imaging[protocol.dual_imaging].met),
        clinical,
        imaging,
        protocol.dual_clinical,
        protocol.dual_imaging,
        score,
        probability_imaging(score, machine, protocol),
        tuple(reasons),
    )


def clinical_half(asdas: float | None, definition: ClinicalDefinition, rules: TargetRules) -> HalfResult:
    """Return the clinical half: ASDAS under the cut-off of the definition.

    Examples
    --------
    >>> rules = TargetRules(1.3, 2.1, 2.0)
    >>> clinical_half(1.3, ClinicalDefinition.ASDAS_INACTIVE, rules).met
    False
    >>> clinical_half(1.3, ClinicalDefinition.ASDAS_LOW, rules).met
    True
    """
    return HalfResult(definition.value, rules.clinical_cut_off(definition), False, asdas)


def imaging_half(sparcc: float | None, definition: ImagingDefinition, rules: TargetRules) -> HalfResult:
    """Return the imaging half: SPARCC under the cut-off, or at most the cut-off.

    Examples
    --------
    >>> rules = TargetRules(1.3, 2.1, 2.0)
    >>> imaging_half(2.0, ImagingDefinition.BELOW, rules).met, imaging_half(2.0, ImagingDefinition.UP_TO, rules).met
    (False, True)
    """
    return HalfResult(definition.value, rules.sparcc_cut_off, definition is ImagingDefinition.UP_TO, sparcc)


def target_status(clinical: bool | None, imaging: bool | None) -> TargetStatus:
    """Return the status of two halves; not assessable if either is unknown.

    Examples
    --------
    >>> target_status(True, False).value, target_status(False, None).value
    ('clinical only', 'not assessable')
    """
    if clinical is None or imaging is None:
        return TargetStatus.NOT_ASSESSABLE
    if clinical:
        return TargetStatus.BOTH if imaging else TargetStatus.CLINICAL_ONLY
    return TargetStatus.IMAGING_ONLY if imaging else TargetStatus.NEITHER


def probability_imaging(score: CountedScore, machine: MachineScore | None, protocol: Protocol) -> float | None:
    """Return the probability that the true score meets the imaging half; None where unknown.

    For readings the error is normal, with the protocol's standard deviation; the true score is continuous, so "<" and
    "<=" have the same probability. For the machine it is its own P(SPARCC < 2), and None for another cut-off or "<=".
    """
    if score.value is None:
        return None
    if score.source is ScoreSource.MACHINE:
        below_two = protocol.target.sparcc_cut_off == 2 and protocol.dual_imaging is ImagingDefinition.BELOW
        return machine.probability_remission if machine is not None and below_two else None
    return probability_below(protocol.target.sparcc_cut_off, score.value, protocol.imaging.reading_sd)


def probability_below(cut_off: float, value: float, sd: float) -> float:
    """Return the probability that the true value is below `cut_off`, for a normal error of standard deviation `sd`.

    Examples
    --------
    >>> probability_below(2.0, 2.0, 1.23)
    0.5
    >>> round(probability_below(2.0, 0.5, 1.23), 2)
    0.89
    """
    return 0.5 * math.erfc((value - cut_off) / sd / math.sqrt(2))
