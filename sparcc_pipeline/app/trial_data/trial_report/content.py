"""Collect the content of a trial report: numbers as text, plots as SVG.

Contents: `report_content`, `Unblinded`. Without `Unblinded` the report is blinded: it has one group and no dose, and
this module never sees an allocation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.pages import percent
from sparcc_pipeline.app.report.plots import picture
from sparcc_pipeline.app.trial_data.trial_report import plots
from sparcc_pipeline.app.trial_data.trial_report import words as terms
from sparcc_pipeline.app.trial_data.trial_report.agreement import agreement_content
from sparcc_pipeline.app.trial_data.trial_report.consort import allocation_content
from sparcc_pipeline.app.trial_data.trial_report.timelines import score_interval, timeline_svg
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.allocation.blocks import Allocated
from sparcc_pipeline.trial.assessment import VisitAssessment, assess_trial
from sparcc_pipeline.trial.doses import DoseFault
from sparcc_pipeline.trial.eligibility import Eligibility
from sparcc_pipeline.trial.protocol.definition import PlannedVisit, Protocol
from sparcc_pipeline.trial.records import DataQuery, TrialData
from sparcc_pipeline.trial.remission import TargetStatus
from sparcc_pipeline.trial.schedule import taper_steps
from sparcc_pipeline.trial.summary import (
    Courses,
    Distribution,
    courses,
    entries,
    flow,
    in_trial,
    is_followed,
    visit_summaries,
)

QUERIES_SHOWN: Final = 20
"""Number of queries and gaps on the page; `queries.csv` holds all."""

PANELS_OF_CHANGE: Final = 3

NOT_ALLOCATED: Final = Message("not in the allocation")
"""Group of the participants in the trial whom the allocation lacks."""


@dataclass(frozen=True)
class Unblinded:
    """Facts for an unblinded report only.

    Parameters
    ----------
    arms : arm of each participant
    steps : dose step at each visit
    without_data : number of people in the allocation who are in no clinical table, by arm
    listed : everyone in the allocation
    faults : recorded doses that contradict arm or protocol, by participant
    """

    arms: Mapping[str, str]
    steps: Mapping[tuple[str, str], int]
    without_data: Mapping[str, int] = field(default_factory=dict)
    listed: Sequence[Allocated] = ()
    faults: Mapping[str, Sequence[DoseFault]] = field(default_factory=dict)


@dataclass(frozen=True)
class Gap:
    """A missing value of a recorded visit."""

    participant: str
    visit: str
    what: str
    items: tuple[str, ...]


def report_content(
    data: TrialData, protocol: Protocol, words: Language, unblinded: Unblinded | None = None
) -> dict[str, Any]:
    """Return the whole content of the page.

    Raises
    ------
    ConfigError : the protocol leaves a required choice unset
    """
    of = courses(assess_trial(data, protocol))
    entry = entries(of, protocol)
    inside = in_trial(of, entry, () if unblinded is None else unblinded.arms)
    groups = groups_of(inside, protocol, words, unblinded)
    gaps = [gap for course in inside.values() for each in course for gap in _gaps(each)]
    return {
        "protocol": protocol,
        "unblinded": unblinded is not None,
        "flow": _flow(of, entry, groups, words, protocol, unblinded),
        "groups": [
            (name, [_visit_row(each) for each in visit_summaries(of_group, protocol)])
            for name, of_group in groups.items()
        ],
        "statuses": [(status, terms.STATUS[status], plots.STATUS_COLORS[status]) for status in TargetStatus],
        "letters": terms.STATUS_LETTERS,
        "instruments": terms.INSTRUMENTS,
        "sources": terms.SOURCES,
        "allocation": _allocation(of, entry, unblinded, protocol, words),
        "plots": _plots(groups, protocol, words),
        **agreement_content(data, protocol, words),
        **_queries(data.queries, gaps),
        "people": [_person(course, entry[name], protocol, words, unblinded) for name, course in inside.items()],
    }


def groups_of(inside: Courses, protocol: Protocol, words: Language, unblinded: Unblinded | None) -> dict[str, Courses]:
    """Return the participants in the trial by group: all together, or each arm and those whom the allocation lacks."""
    if unblinded is None:
        return {words.say("All participants"): inside}
    groups: dict[str, Courses] = {
        arm.name: {name: course for name, course in inside.items() if unblinded.arms.get(name) == arm.name}
        for arm in protocol.arms
    }
    without = {name: course for name, course in inside.items() if name not in unblinded.arms}
    # Participants whom the allocation lacks are shown as a group of their own: the tables count everyone in the flow.
    return groups | ({words.say(NOT_ALLOCATED): without} if without else {})


def _flow(
    of: Courses,
    entry: Mapping[str, Eligibility],
    groups: Mapping[str, Courses],
    words: Language,
    protocol: Protocol,
    unblinded: Unblinded | None,
) -> dict[str, Any]:
    found = flow(of, entry, () if unblinded is None else unblinded.arms)
    reasons = sorted(found.reasons.items(), key=lambda each: (-each[1], each[0]))
    planned = {arm.name: arm.participants for arm in protocol.arms}
    arms = [
        {
            "name": name,
            "planned": planned.get(name),
            "allocated": len(mine),
            "followed": sum(is_followed(course) for course in mine.values()),
            "without_data": unblinded.without_data.get(name, 0),
        }
        for name, mine in (groups.items() if unblinded else ())
        if unblinded
    ]
    return {"counts": found, "reasons": [(words.say(name), count) for name, count in reasons], "arms": arms}


def _allocation(
    of: Courses, entry: Mapping[str, Eligibility], unblinded: Unblinded | None, protocol: Protocol, words: Language
) -> dict[str, Any] | None:
    if unblinded is None:
        return None
    return allocation_content(of, entry, unblinded.listed, unblinded.faults, protocol, words)


def _visit_row(summary: Any) -> dict[str, Any]:
    total = summary.attended + summary.missed + summary.ended
    return {
        "summary": summary,
        "all": total,
        "asdas": _spread(summary.asdas, 2),
        "sparcc": _median(summary.sparcc),
        "change": _median(summary.sparcc_change),
        "shares": {status: 100 * count / total if total else 0.0 for status, count in summary.target.items()},
    }


def _spread(found: Distribution | None, digits: int) -> str | None:
    if found is None:
        return None
    return f"{found.mean:.{digits}f}" + ("" if found.sd is None else f" ({found.sd:.{digits}f})")


def _median(found: Distribution | None) -> str | None:
    return None if found is None else f"{found.median:.1f} ({found.lower:.1f}; {found.upper:.1f})"


def _plots(groups: Mapping[str, Courses], protocol: Protocol, words: Language) -> dict[str, str]:
    with_change = [
        visit
        for number, visit in enumerate(protocol.visits)
        if number and any(c[number].sparcc_change is not None for of in groups.values() for c in of.values())
    ]
    found = {
        "target": plots.target_plot(groups, protocol, words),
        "courses": plots.spaghetti_plot(groups, protocol, words),
    }
    if with_change:
        found["cumulative"] = plots.cumulative_plot(groups, _spaced(with_change, PANELS_OF_CHANGE), protocol, words)
        found["waterfall"] = plots.waterfall_plot(groups, with_change[-1], protocol, words)
    return {name: picture(svg) for name, svg in found.items()}


def _spaced(visits: Sequence[PlannedVisit], count: int) -> list[PlannedVisit]:
    """Return the first visit, the last, and others evenly spaced between them."""
    if len(visits) <= count:
        return list(visits)
    return [visits[round(k * (len(visits) - 1) / (count - 1))] for k in range(count)]


def _gaps(each: VisitAssessment) -> list[Gap]:
    """Return the missing values of a visit that took place."""
    if each.visit is None:
        return []
    name, visit = each.participant.participant, each.planned.visit
    found = [
        Gap(name, visit, instrument.value, result.missing)
        for instrument, result in each.results.items()
        if result.value is None and result.missing
    ]
    if each.planned.mri and each.score.value is None:
        found.append(Gap(name, visit, "SPARCC", ()))
    return found


def _queries(queries: Sequence[DataQuery], gaps: Sequence[Gap]) -> dict[str, Any]:
    kinds = Counter(query.kind for query in queries)
    what = Counter(gap.what for gap in gaps)
    return {
        "query_kinds": [(terms.QUERIES[kind], count) for kind, count in kinds.most_common()],
        "queries": [
            (terms.QUERIES[query.kind], query, terms.LEFT_OUT.get(query.left_out, query.left_out))
            for query in queries[:QUERIES_SHOWN]
        ],
        "more_queries": max(0, len(queries) - QUERIES_SHOWN),
        "gap_kinds": what.most_common(),
        "gaps": list(gaps[:QUERIES_SHOWN]),
        "more_gaps": max(0, len(gaps) - QUERIES_SHOWN),
        "all_gaps": list(gaps),
    }


def _person(
    course: Sequence[VisitAssessment],
    entry: Eligibility,
    protocol: Protocol,
    words: Language,
    unblinded: Unblinded | None,
) -> dict[str, Any]:
    name = course[0].participant.participant
    doses = None
    if unblinded is not None:
        texts = [step.dose for step in taper_steps(protocol)]
        doses = {visit: texts[step] for (who, visit), step in unblinded.steps.items() if who == name}
    return {
        "name": name,
        "site": course[0].participant.site,
        "arm": None if unblinded is None else unblinded.arms.get(name),
        "entry": entry,
        "svg": timeline_svg(course, protocol, doses, words),
        "rows": [_person_row(each, protocol, words) for each in course],
    }


def _person_row(each: VisitAssessment, protocol: Protocol, words: Language) -> dict[str, Any]:
    interval, chance = score_interval(each, protocol), each.target.probability_imaging
    return {
        "visit": each.planned.visit,
        "day": None if each.visit is None else each.visit.day,
        "timing": words.say(terms.TIMING[each.timing]),
        "asdas": each.asdas.value,
        "activity": None if each.activity is None else words.say(terms.ACTIVITY[each.activity]),
        "sparcc": each.score.value,
        "interval": interval,
        "source": words.say(terms.SOURCES[each.score.source]),
        "chance": None if chance is None else percent(chance),
        "crp": None if each.visit is None else each.visit.crp_mg_l,
        "status": words.say(terms.STATUS[each.target.status]),
        "flags": [words.say(flag) for flag, on in ((terms.FLARE, each.flare), (terms.RESCUE, each.rescue)) if on],
    }
