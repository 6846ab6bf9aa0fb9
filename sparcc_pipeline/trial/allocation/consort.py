"""The flow of participants from screening to analysis, by arm, each loss with its reason. Source: [Consort2025].

Contents: `Consort`, `ArmFlow`, `consort`. One participant is counted once in every row: screened = not randomised +
randomised, and in each arm allocated = completed + ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparcc_pipeline.trial.allocation.sets import Exclusion, SetMember
from sparcc_pipeline.trial.assessment import VisitAssessment
from sparcc_pipeline.trial.eligibility import Eligibility, EntryState
from sparcc_pipeline.trial.summary import Courses, is_recorded


@dataclass(frozen=True)
class ArmFlow:
    """The flow of one arm.

    Parameters
    ----------
    planned : participants that the protocol plans
    without_data : participants of the allocation who are in no clinical table
    completed : with a record at the last planned visit
    ended : participants without one, by the reason that the site gave; "" where it gave none
    last_records : participants without one, by the planned visit of their last record; "" without any record
    analysed : participants in the intention-to-treat set: all that were allocated
    per_protocol : participants in the per-protocol set
    exclusions : reasons against it; one participant may have several
    """

    name: str
    planned: int
    allocated: int
    without_data: int
    completed: int
    ended: Mapping[str, int]
    last_records: Mapping[str, int]
    analysed: int
    per_protocol: int
    exclusions: Mapping[Exclusion, int]


@dataclass(frozen=True)
class Consort:
    """The flow of all participants.

    Parameters
    ----------
    screened : participants with data, and those of the allocation without
    not_eligible, not_known : not randomised: a criterion is missed, or unknown
    eligible : not randomised, although eligible by the data
    followed : of all who were not randomised, those with a record after the baseline; they need an answer
    reasons : criteria that those not randomised miss; one participant may miss several
    """

    screened: int
    not_eligible: int
    not_known: int
    eligible: int
    followed: int
    reasons: Mapping[str, int]
    randomised: int
    arms: tuple[ArmFlow, ...]


def consort(
    of: Courses, entry: Mapping[str, Eligibility], members: Sequence[SetMember], planned: Mapping[str, int]
) -> Consort:
    """Return the flow of participants.

    Parameters
    ----------
    of, entry : visits and eligibility of each participant with data
    members : the allocation, with the analysis sets
    planned : participants that the protocol plans, by arm
    """
    randomised = {member.participant for member in members}
    outside = [name for name in of if name not in randomised]
    states = Counter(entry[name].state for name in outside)
    return Consort(
        screened=len(outside) + len(randomised),
        not_eligible=states[EntryState.NOT_MET],
        not_known=states[EntryState.UNKNOWN],
        eligible=states[EntryState.MET],
        followed=sum(any(is_recorded(each) for each in of[name][1:]) for name in outside),
        reasons=Counter(
            criterion.name
            for name in outside
            for criterion in entry[name].criteria
            if criterion.state is EntryState.NOT_MET
        ),
        randomised=len(randomised),
        arms=tuple(
            _arm(name, count, [each for each in members if each.arm == name], of) for name, count in planned.items()
        ),
    )


def _arm(name: str, planned: int, mine: Sequence[SetMember], of: Courses) -> ArmFlow:
    lost = [each.participant for each in mine if each.participant in of and not is_recorded(of[each.participant][-1])]
    without_data = sum(each.participant not in of for each in mine)
    return ArmFlow(
        name=name,
        planned=planned,
        allocated=len(mine),
        without_data=without_data,
        completed=len(mine) - len(lost) - without_data,
        ended=Counter(of[who][0].participant.end_reason or "" for who in lost),
        last_records=Counter(_last_record(of[who]) for who in lost),
        analysed=len(mine),
        per_protocol=sum(each.per_protocol for each in mine),
        exclusions=Counter(reason for each in mine for reason in each.exclusions),
    )


def _last_record(course: Sequence[VisitAssessment]) -> str:
    recorded = [each.planned.visit for each in course if is_recorded(each)]
    return recorded[-1] if recorded else ""
