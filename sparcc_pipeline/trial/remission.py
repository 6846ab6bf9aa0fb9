"""The dual target: has this participant, at this visit, reached the clinical and the imaging half?

There: `dual_target`, `DualTarget`, `HalfResult`, `TargetStatus`; over visits `sustained_target`, `flare`. It reports
and never prescribes. Missing data is never a "no": a half without a value is not assessable.
Source: clinical reference, section 5; cut-offs and definitions come from the protocol.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from sparcc_pipeline.trial.instruments import InstrumentResult
from sparcc_pipeline.trial.protocol.choices import ClinicalDefinition, ImagingDefinition
from sparcc_pipeline.trial.protocol.definition import ComparedWith, Protocol, TargetRules
from sparcc_pipeline.trial.reading import CountedScore, MachineScore, ScoreSource
from sparcc_pipeline.trial.states import reaches


class TargetStatus(Enum):
    """The answer at a visit; the value is its name in tables."""

    BOTH = "both"
    CLINICAL_ONLY = "clinical only"
    IMAGING_ONLY = "imaging only"
    NEITHER = "neither"
    NOT_ASSESSABLE = "not assessable"


@dataclass(frozen=True)
class HalfResult:
    """One half in one definition.

    Parameters
    ----------
    definition : name in the protocol file
    cut_off : of the value
    inclusive : the cut-off itself meets the target
    value : ASDAS or SPARCC; None where there is none
    """

    definition: str
    cut_off: float
    inclusive: bool
    value: float | None

    @property
    def met(self) -> bool | None:
        """True, False, or None where there is no value."""
        if self.value is None:
            return None
        return self.value <= self.cut_off if self.inclusive else self.value < self.cut_off

    @property
    def distance(self) -> float | None:
        """Value minus cut-off: negative under it; None where there is no value."""
        return None if self.value is None else self.value - self.cut_off


@dataclass(frozen=True)
class DualTarget:
    """The dual target of one participant at one visit.

    Parameters
    ----------
    status : under the definitions that the protocol chose
    clinical, imaging : each half in both definitions, by definition
    clinical_chosen, imaging_chosen : the protocol's definitions
    score : the imaging score that counts, and what it was taken from
    probability_imaging : that the imaging half is met given the uncertainty of the score; None where that is not known
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
        """Both halves met; False as soon as one half is known to be missed, None where it is not known."""
        halves = (self.clinical_half.met, self.imaging_half.met)
        if False in halves:
            return False
        return None if None in halves else True

    def status_by(self, clinical: ClinicalDefinition, imaging: ImagingDefinition) -> TargetStatus:
        """The status under any pair of definitions."""
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
    """The dual target at one visit; both halves must be of this visit.

    Parameters
    ----------
    asdas : in the form of the protocol
    score : the imaging score that counts
    machine : the machine's score of the visit, for its uncertainty; used only if it is the one that counts

    Raises
    ------
    ConfigError : the protocol leaves a definition unset
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
    """The clinical half: ASDAS under the cut-off of the definition."""
    return HalfResult(definition.value, rules.clinical_cut_off(definition), False, asdas)


def imaging_half(sparcc: float | None, definition: ImagingDefinition, rules: TargetRules) -> HalfResult:
    """The imaging half: SPARCC under the cut-off, or at most the cut-off."""
    return HalfResult(definition.value, rules.sparcc_cut_off, definition is ImagingDefinition.UP_TO, sparcc)


def target_status(clinical: bool | None, imaging: bool | None) -> TargetStatus:
    """Both halves as one answer; not assessable if either is not known."""
    if clinical is None or imaging is None:
        return TargetStatus.NOT_ASSESSABLE
    if clinical:
        return TargetStatus.BOTH if imaging else TargetStatus.CLINICAL_ONLY
    return TargetStatus.IMAGING_ONLY if imaging else TargetStatus.NEITHER


def probability_imaging(score: CountedScore, machine: MachineScore | None, protocol: Protocol) -> float | None:
    """Probability that the true score meets the imaging half.

    For readings: a normal error of the protocol's standard deviation about the score; the true score being continuous,
    "<" and "<=" are one. For the machine: its own P(SPARCC < 2), which is no answer to another cut-off or to "<=".
    """
    if score.value is None:
        return None
    if score.source is ScoreSource.MACHINE:
        below_two = protocol.target.sparcc_cut_off == 2 and protocol.dual_imaging is ImagingDefinition.BELOW
        return machine.probability_remission if machine is not None and below_two else None
    return probability_below(protocol.target.sparcc_cut_off, score.value, protocol.imaging.reading_sd)


def probability_below(cut_off: float, value: float, sd: float) -> float:
    """Probability that a true value lies under the cut-off, the measured one having a normal error of `sd`."""
    return 0.5 * math.erfc((value - cut_off) / sd / math.sqrt(2))


def sustained_target(met: Sequence[bool | None]) -> bool | None:
    """Is the target met at every one of these visits (`DualTarget.met`), in a row?

    False if it is missed at one; None if at none, but one is not known or there is no visit: missing data is never a
    "no".
    """
    if False in met:
        return False
    return None if not met or None in met else True


def flare(earlier: Sequence[float | None], asdas: float | None, rules: TargetRules) -> bool | None:
    """Has ASDAS risen by the protocol's limit since the previous or the lowest earlier visit?

    None where this or every earlier ASDAS is missing. Missing earlier visits are passed over.
    """
    known = [value for value in earlier if value is not None]
    if asdas is None or not known:
        return None
    reference = known[-1] if rules.flare_compared_with is ComparedWith.PREVIOUS else min(known)
    return reaches(asdas - reference, rules.flare_asdas_rise)
