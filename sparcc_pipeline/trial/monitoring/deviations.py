"""Protocol deviations that follow from the data, without the arm.

Contents: `deviations_from_data`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.assessment import VisitAssessment
from sparcc_pipeline.trial.eligibility import Eligibility, EntryState
from sparcc_pipeline.trial.monitoring.safety_records import Deviation
from sparcc_pipeline.trial.schedule import Timing
from sparcc_pipeline.trial.summary import Courses, is_recorded


def deviations_from_data(inside: Courses, entry: Mapping[str, Eligibility]) -> list[Deviation]:
    """Return the deviations of the participants in the trial.

    They are: an entry criterion that is not met, a missed visit with a later record, a visit out of its window, an
    attended visit without ASDAS, and one with planned imaging without a score that counts.
    """
    return [each for name, course in inside.items() for each in _of_one(name, course, entry[name])]


def _of_one(name: str, course: Sequence[VisitAssessment], entry: Eligibility) -> Iterator[Deviation]:
    baseline = course[0].planned.visit
    for criterion in entry.criteria:
        if criterion.state is EntryState.NOT_MET:
            yield Deviation(name, baseline, Message("entry criterion not met"), criterion.name, "data")
    for k, each in enumerate(course):
        visit = each.planned.visit
        if each.visit is None:
            if any(is_recorded(later) for later in course[k + 1 :]):
                yield Deviation(name, visit, Message("visit missed"), Message("a later record"), "data")
            continue
        if each.timing in (Timing.EARLY, Timing.LATE):
            found = Message("day {day}", day=each.visit.day)
            yield Deviation(name, visit, Message("visit out of window"), found, "data")
        if each.asdas.value is None:
            missing = Message("missing: {names}", names=tuple(each.asdas.missing))
            yield Deviation(name, visit, Message("no ASDAS"), missing, "data")
        if each.planned.mri and each.score.value is None:
            yield Deviation(name, visit, Message("no SPARCC"), Message("no score that counts"), "data")
