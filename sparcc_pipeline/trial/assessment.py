"""Assessment of each visit of a trial: instruments, states, the score that counts, the dual target, flags.

Every participant has one assessment for each planned visit; where nothing was recorded, it is "not assessable". Nothing
here knows the arm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparcc_pipeline.trial import instruments as ins
from sparcc_pipeline.trial.eligibility import Eligibility, eligibility
from sparcc_pipeline.trial.instruments import Instrument, InstrumentResult
from sparcc_pipeline.trial.nsaid import nsaid_index
from sparcc_pipeline.trial.protocol.definition import PlannedVisit, Protocol
from sparcc_pipeline.trial.reading import CountedScore, MachineScore, Reading, counted_score
from sparcc_pipeline.trial.records import ClinicalVisit, Participant, TrialData
from sparcc_pipeline.trial.remission import DualTarget, dual_target, flare, sustained_target
from sparcc_pipeline.trial.schedule import Timing, timing
from sparcc_pipeline.trial.states import DiseaseActivity, Improvement, asdas_improvement, disease_activity


@dataclass(frozen=True)
class VisitAssessment:
    """Assessment of one planned visit of one participant.

    More than ten fields, because it is one row of the trial's results: each field is a column of that table.

    Parameters
    ----------
    visit : the clinical visit; None where none was recorded
    results : result of every instrument
    asdas : ASDAS in the protocol's form
    activity, improvement : state by ASDAS, improvement since baseline; None where a value is missing
    readings, machine : all imaging results of the visit
    score : the imaging score that counts
    sparcc_change, asdas_change : change since baseline; None where a value is missing
    sustained : True if the target was met at this visit and at the planned one before; None where unknown and at
        baseline
    flare : result of `remission.flare`
    rescue : rescue treatment as recorded
    """

    participant: Participant
    planned: PlannedVisit
    visit: ClinicalVisit | None
    timing: Timing
    results: Mapping[Instrument, InstrumentResult]
    asdas: InstrumentResult
    activity: DiseaseActivity | None
    improvement: Improvement | None
    readings: tuple[Reading, ...]
    machine: MachineScore | None
    score: CountedScore
    sparcc_change: float | None
    asdas_change: float | None
    target: DualTarget
    sustained: bool | None
    flare: bool | None
    rescue: bool | None


def assess_trial(data: TrialData, protocol: Protocol) -> tuple[VisitAssessment, ...]:
    """Return the assessment of every planned visit of every participant, in the order of the protocol's visits.

    Raises
    ------
    ConfigError : the protocol leaves a definition of the dual target unset
    """
    protocol.require("dual_clinical", "dual_imaging")
    visits = {(visit.participant, visit.visit): visit for visit in data.visits}
    scores = {(score.participant, score.visit): score for score in data.scores}
    readings: dict[tuple[str, str], list[Reading]] = defaultdict(list)
    for reading in data.readings:
        readings[reading.participant, reading.visit].append(reading)
    assessed: list[VisitAssessment] = []
    for participant in data.participants:
        earlier: list[VisitAssessment] = []
        for planned in protocol.visits:
            key = (participant.participant, planned.visit)
            earlier.append(
                assess_visit(
                    participant, planned, visits.get(key), readings.get(key, []), scores.get(key), earlier, protocol
                )
            )
        assessed += earlier
    return tuple(assessed)


def assess_visit(
    participant: Participant,
    planned: PlannedVisit,
    visit: ClinicalVisit | None,
    readings: Sequence[Reading],
    machine: MachineScore | None,
    earlier: Sequence[VisitAssessment],
    protocol: Protocol,
) -> VisitAssessment:
    """Return the assessment of one planned visit.

    Parameters
    ----------
    visit : the clinical visit; None where none was recorded
    readings, machine : imaging results of this visit
    earlier : assessments of this participant's earlier planned visits, in order; empty for the baseline
    """
    results = instrument_results(visit or ClinicalVisit(participant.participant, planned.visit), protocol)
    asdas = results[protocol.instruments.asdas_form.instrument]
    score = counted_score(readings, machine, protocol.imaging.counts, protocol.adjudication)
    target = dual_target(participant.participant, planned.visit, asdas, score, machine, protocol)
    baseline = earlier[0] if earlier else None
    before = None if baseline is None else baseline.asdas.value
    return VisitAssessment(
        participant=participant,
        planned=planned,
        visit=visit,
        timing=Timing.NOT_RECORDED if visit is None else timing(planned, visit.day),
        results=results,
        asdas=asdas,
        activity=None if asdas.value is None else disease_activity(asdas.value),
        improvement=None if asdas.value is None or before is None else asdas_improvement(before, asdas.value),
        readings=tuple(readings),
        machine=machine,
        score=score,
        sparcc_change=_difference(None if baseline is None else baseline.score.value, score.value),
        asdas_change=_difference(before, asdas.value),
        target=target,
        sustained=sustained_target([earlier[-1].target.met, target.met]) if earlier else None,
        flare=flare([each.asdas.value for each in earlier], asdas.value, protocol.target),
        rescue=None if visit is None else visit.rescue,
    )


def entry_of(participant: Participant, data: TrialData, protocol: Protocol) -> Eligibility:
    """Return the entry criteria of one participant, from the baseline visit and its imaging.

    Raises
    ------
    ConfigError : the protocol leaves the highest age or the lowest haemoglobin unset
    """
    key = (participant.participant, protocol.baseline.visit)
    visit = next((v for v in data.visits if (v.participant, v.visit) == key), ClinicalVisit(*key))
    machine = next((s for s in data.scores if (s.participant, s.visit) == key), None)
    readings = [r for r in data.readings if (r.participant, r.visit) == key]
    score = counted_score(readings, machine, protocol.imaging.counts, protocol.adjudication)
    return eligibility(participant, ins.basdai(visit.basdai), visit.patient_global, score, machine, protocol)


def instrument_results(visit: ClinicalVisit, protocol: Protocol) -> dict[Instrument, InstrumentResult]:
    """Return the result of every instrument at one visit, with the protocol's missing-item rules."""
    allowed = protocol.instruments.missing_items
    back, peripheral, duration = visit.basdai[1], visit.basdai[2], visit.basdai[5]
    return {
        Instrument.ASDAS_CRP: ins.asdas_crp(back, duration, visit.patient_global, peripheral, visit.crp_mg_l),
        Instrument.ASDAS_ESR: ins.asdas_esr(back, duration, visit.patient_global, peripheral, visit.esr_mm_h),
        Instrument.BASDAI: ins.basdai(visit.basdai),
        Instrument.BASFI: ins.basfi(visit.basfi, allowed.get(Instrument.BASFI, 0)),
        Instrument.ASAS_HI: ins.asas_hi(visit.asas_hi, allowed.get(Instrument.ASAS_HI, 0)),
        Instrument.ASQOL: ins.asqol(visit.asqol, allowed.get(Instrument.ASQOL, 0)),
        Instrument.NSAID_INDEX: nsaid_index(visit.nsaids, visit.nsaid_period_days),
    }


def _difference(before: float | None, now: float | None) -> float | None:
    return None if before is None or now is None else now - before
