"""Assessment of each visit of a trial: instruments, states, the score that counts, the dual target, flags.

Every participant has one assessment for each planned visit; where nothing was recorded, it is "not assessable". Nothing
here knows the arm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sparcc_pipeline.trial import instruments as ins
from sparcc_pipeline.trial.course.confirmation import Halves, confirmed_target, sustained_target
from sparcc_pipeline.trial.course.flare import NO_READER, FlareVisit, flare
from sparcc_pipeline.trial.course.lesions import Points
from sparcc_pipeline.trial.eligibility import Eligibility, eligibility
from sparcc_pipeline.trial.instruments import Instrument, InstrumentResult
from sparcc_pipeline.trial.items import ItemReading
from sparcc_pipeline.trial.nsaid import nsaid_index
from sparcc_pipeline.trial.protocol.definition import PlannedVisit, Protocol
from sparcc_pipeline.trial.reading import CountedScore, MachineScore, Reading, ScoreSource, counted_score
from sparcc_pipeline.trial.records import ClinicalVisit, Participant, TrialData
from sparcc_pipeline.trial.remission import DualTarget, dual_target
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
    confirmed : True if the target counts as met by the protocol's condition (`confirmed_target`)
    sustained : result of `sustained_target`
    flare : result of `flare`
    rescue : rescue treatment as recorded
    points : points of the readers whose readings count, or of the machine, by reader; empty without items
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
    confirmed: bool | None
    sustained: bool | None
    flare: bool | None
    rescue: bool | None
    points: Mapping[str, Points] = field(default_factory=dict)


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
    items: dict[tuple[str, str], list[ItemReading]] = defaultdict(list)
    for item in data.items:
        items[item.participant, item.visit].append(item)
    assessed: list[VisitAssessment] = []
    for participant in data.participants:
        earlier: list[VisitAssessment] = []
        for planned in protocol.visits:
            key = (participant.participant, planned.visit)
            imaging = (readings.get(key, []), scores.get(key))
            mine = items.get(key, ())
            earlier.append(assess_visit(participant, planned, visits.get(key), *imaging, earlier, protocol, mine))
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
    items: Sequence[ItemReading] = (),
) -> VisitAssessment:
    """Return the assessment of one planned visit.

    Parameters
    ----------
    visit : the clinical visit; None where none was recorded
    readings, machine : imaging results of this visit
    earlier : assessments of this participant's earlier planned visits, in order; empty for the baseline
    items : items of the readings and of the machine's score of this visit
    """
    results = instrument_results(visit or ClinicalVisit(participant.participant, planned.visit), protocol)
    asdas = results[protocol.instruments.asdas_form.instrument]
    score = counted_score(readings, machine, protocol.imaging.counts, protocol.adjudication)
    target = dual_target(participant.participant, planned.visit, asdas, score, machine, protocol)
    baseline = earlier[0] if earlier else None
    before = None if baseline is None else baseline.asdas.value
    points = _points(score, items)
    measured = FlareVisit(planned.week, asdas.value, results[Instrument.BASDAI].value, points)
    halves = [*(_halves(each.target, each.planned) for each in earlier), _halves(target, planned)]
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
        confirmed=confirmed_target(halves, protocol.target.confirmation),
        sustained=_sustained(halves, earlier, planned, asdas.value, protocol),
        flare=flare([*map(_flare_visit, earlier), measured], protocol.target.flare, protocol.full_dose_weeks),
        rescue=None if visit is None else visit.rescue,
        points=points,
    )


def _points(score: CountedScore, items: Sequence[ItemReading]) -> dict[str, Points]:
    """The points of the readings whose mean is the score that counts, or of the machine."""
    wanted = {NO_READER} if score.source is ScoreSource.MACHINE else set(score.readers)
    first = [each for each in items if each.repeat == 1]
    return {each.reader or NO_READER: each.points for each in first if (each.reader or NO_READER) in wanted}


def _halves(target: DualTarget, planned: PlannedVisit) -> Halves:
    return Halves(target.clinical_half.met, target.imaging_half.met, planned.mri)


def _flare_visit(each: VisitAssessment) -> FlareVisit:
    return FlareVisit(each.planned.week, each.asdas.value, each.results[Instrument.BASDAI].value, each.points)


def _sustained(
    halves: Sequence[Halves],
    earlier: Sequence[VisitAssessment],
    planned: PlannedVisit,
    asdas: float | None,
    protocol: Protocol,
) -> bool | None:
    rules = protocol.target
    values = {**{each.planned.week: each.asdas.value for each in earlier}, planned.week: asdas}
    met = [each.met for each in halves]
    start = protocol.full_dose_weeks
    return sustained_target(rules.sustained, list(values), met, values, start, rules.asdas_inactive_below)


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
