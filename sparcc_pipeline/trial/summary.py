"""Summary of a trial: flow of participants, and each visit with its target. Nothing here knows the arm.

Only the allocation knows who was randomised. The blinded flow therefore counts what the data show: participants who
were screened, who are eligible, and who have a record after the baseline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sparcc_pipeline.trial.assessment import VisitAssessment
from sparcc_pipeline.trial.eligibility import Eligibility, EntryState, eligibility
from sparcc_pipeline.trial.instruments import Instrument
from sparcc_pipeline.trial.protocol.definition import PlannedVisit, Protocol
from sparcc_pipeline.trial.reading import ScoreSource
from sparcc_pipeline.trial.remission import TargetStatus
from sparcc_pipeline.trial.schedule import Timing

Courses = Mapping[str, Sequence[VisitAssessment]]
"""The assessments of each participant, in the order of the visits."""


@dataclass(frozen=True)
class Distribution:
    """Number, mean, standard deviation (None for one value), median and quartiles of the known values."""

    n: int
    mean: float
    sd: float | None
    median: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Flow:
    """Flow of participants: screened = in the trial + not eligible + not known.

    Parameters
    ----------
    in_trial : participants who are eligible by the data, have a record after the baseline, or are allocated
    eligible, deviations : participants in the trial who are eligible by the data, and those who are not
    followed : participants in the trial with a record after the baseline
    reasons : criteria that the participants outside the trial miss, by name; one person may miss several
    """

    screened: int
    in_trial: int
    eligible: int
    deviations: int
    followed: int
    not_eligible: int
    not_known: int
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class VisitSummary:
    """Summary of one planned visit of the participants in the trial: attended + missed + ended = all of them.

    More than ten fields: they are the columns of the visits in the trial report.

    Parameters
    ----------
    attended : participants with a clinical visit
    missed : participants without one who have a later record
    ended : participants without a record at this visit or later
    out_of_window, incomplete : attended visits outside the window, and without ASDAS
    sources : number of scores by source
    target : number of participants by status of the dual target
    flares, rescue : attended visits with a flare, and with rescue treatment
    """

    planned: PlannedVisit
    attended: int
    missed: int
    ended: int
    out_of_window: int
    incomplete: int
    asdas: Distribution | None
    sparcc: Distribution | None
    sparcc_change: Distribution | None
    sources: Mapping[ScoreSource, int]
    target: Mapping[TargetStatus, int]
    flares: int
    rescue: int


def courses(assessments: Iterable[VisitAssessment]) -> dict[str, list[VisitAssessment]]:
    """Return the assessments of each participant."""
    found: dict[str, list[VisitAssessment]] = {}
    for each in assessments:
        found.setdefault(each.participant.participant, []).append(each)
    return found


def entries(of: Courses, protocol: Protocol) -> dict[str, Eligibility]:
    """Return the eligibility of each participant at the baseline.

    Raises
    ------
    ConfigError : the protocol leaves the highest age or the lowest haemoglobin unset
    """
    found = {}
    for name, course in of.items():
        baseline = next(each for each in course if each.planned.week == 0)
        patient_global = None if baseline.visit is None else baseline.visit.patient_global
        basdai = baseline.results[Instrument.BASDAI]
        found[name] = eligibility(
            baseline.participant, basdai, patient_global, baseline.score, baseline.machine, protocol
        )
    return found


def is_recorded(assessment: VisitAssessment) -> bool:
    """True if this visit has any record: a clinical visit, a reading or a score."""
    return bool(assessment.visit is not None or assessment.readings or assessment.machine is not None)


def is_followed(course: Sequence[VisitAssessment]) -> bool:
    """True if a visit after the baseline has any record."""
    return any(is_recorded(each) for each in course[1:])


def in_trial(
    of: Courses, entry: Mapping[str, Eligibility], allocated: Collection[str] = ()
) -> dict[str, Sequence[VisitAssessment]]:
    """Return the participants who are eligible by the data or have a record after the baseline.

    Parameters
    ----------
    allocated : participants in the allocation, who belong to the trial whatever their data (intention to treat); empty
        in a blinded report
    """
    return {
        name: course
        for name, course in of.items()
        if name in allocated or entry[name].state is EntryState.MET or is_followed(course)
    }


def flow(of: Courses, entry: Mapping[str, Eligibility], allocated: Collection[str] = ()) -> Flow:
    """Return the flow of participants; `allocated` as in `in_trial`."""
    inside = in_trial(of, entry, allocated)
    outside = [entry[name] for name in of if name not in inside]
    eligible = sum(entry[name].state is EntryState.MET for name in inside)
    return Flow(
        screened=len(of),
        in_trial=len(inside),
        eligible=eligible,
        deviations=len(inside) - eligible,
        followed=sum(is_followed(course) for course in inside.values()),
        not_eligible=sum(each.state is EntryState.NOT_MET for each in outside),
        not_known=sum(each.state is EntryState.UNKNOWN for each in outside),
        reasons=Counter(c.name for each in outside for c in each.criteria if c.state is EntryState.NOT_MET),
    )


def visit_summaries(inside: Courses, protocol: Protocol) -> tuple[VisitSummary, ...]:
    """Return the summary of every planned visit of the participants in the trial."""
    return tuple(_summary(number, planned, list(inside.values())) for number, planned in enumerate(protocol.visits))


def distribution(values: Collection[float]) -> Distribution | None:
    """Return the distribution of `values`; None without a value.

    Examples
    --------
    >>> distribution([2.0, 4.0, 6.0])
    Distribution(n=3, mean=4.0, sd=2.0, median=4.0, lower=3.0, upper=5.0)
    """
    if not values:
        return None
    x = np.array(list(values), dtype=float)
    lower, median, upper = (float(each) for each in np.quantile(x, [0.25, 0.5, 0.75]))
    return Distribution(x.size, float(x.mean()), float(x.std(ddof=1)) if x.size > 1 else None, median, lower, upper)


def _summary(number: int, planned: PlannedVisit, all_courses: Sequence[Sequence[VisitAssessment]]) -> VisitSummary:
    here = [course[number] for course in all_courses]
    seen = [each for each in here if each.visit is not None]
    ended = sum(not any(is_recorded(each) for each in course[number:]) for course in all_courses)
    sources, target = Counter(each.score.source for each in here), Counter(each.target.status for each in here)
    return VisitSummary(
        planned=planned,
        attended=len(seen),
        missed=len(here) - len(seen) - ended,
        ended=ended,
        out_of_window=sum(each.timing in (Timing.EARLY, Timing.LATE) for each in seen),
        incomplete=sum(each.asdas.value is None for each in seen),
        asdas=distribution([each.asdas.value for each in here if each.asdas.value is not None]),
        sparcc=distribution([each.score.value for each in here if each.score.value is not None]),
        sparcc_change=distribution([each.sparcc_change for each in here if each.sparcc_change is not None]),
        sources={source: sources[source] for source in ScoreSource},
        target={status: target[status] for status in TargetStatus},
        flares=sum(each.flare is True for each in seen),
        rescue=sum(each.rescue is True for each in seen),
    )
