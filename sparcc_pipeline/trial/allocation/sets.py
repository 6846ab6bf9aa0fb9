"""Analysis sets of the participants of an allocation, each exclusion with its reason.

Contents: `Exclusion`, `SetMember`, `analysis_sets`. Intention to treat: everyone in the allocation, in the arm of the
allocation. Per protocol: those of them without an exclusion below; decision of this project, the registry entry defines
no set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from sparcc_pipeline.trial.assessment import VisitAssessment
from sparcc_pipeline.trial.doses import DoseFault
from sparcc_pipeline.trial.eligibility import Eligibility, EntryState
from sparcc_pipeline.trial.summary import Courses, is_followed


class Exclusion(Enum):
    """Reasons against the per-protocol set; the value is the name in tables."""

    NO_DATA = "no clinical data"
    NOT_ELIGIBLE = "entry criteria not met"
    ENTRY_UNKNOWN = "entry criteria not known"
    NOT_FOLLOWED = "no record after the baseline"
    DOSE = "dose against arm or protocol"
    RESCUE = "rescue treatment"
    NO_LAST_VISIT = "no primary outcome at the last visit"


@dataclass(frozen=True)
class SetMember:
    """One participant of the allocation. In the per-protocol set without an exclusion."""

    participant: str
    arm: str
    exclusions: tuple[Exclusion, ...]

    @property
    def per_protocol(self) -> bool:
        """True if the participant belongs to the per-protocol set."""
        return not self.exclusions


def analysis_sets(
    arms: Mapping[str, str],
    of: Courses,
    entry: Mapping[str, Eligibility],
    faults: Mapping[str, Sequence[DoseFault]],
) -> tuple[SetMember, ...]:
    """Return everyone in the allocation, which is the intention-to-treat set, with the reasons against the other.

    Parameters
    ----------
    arms : arm of each participant, also of those without data
    entry : eligibility of each participant with data
    faults : recorded doses that contradict arm or protocol
    """
    return tuple(
        SetMember(name, arm, tuple(_exclusions(of[name], entry[name], faults.get(name, ()))))
        if name in of
        else SetMember(name, arm, (Exclusion.NO_DATA,))
        for name, arm in arms.items()
    )


def _exclusions(
    course: Sequence[VisitAssessment], entry: Eligibility, faults: Sequence[DoseFault]
) -> Iterator[Exclusion]:
    if entry.state is EntryState.NOT_MET:
        yield Exclusion.NOT_ELIGIBLE
    if entry.state is EntryState.UNKNOWN:
        yield Exclusion.ENTRY_UNKNOWN
    if not is_followed(course):
        yield Exclusion.NOT_FOLLOWED
    if faults:
        yield Exclusion.DOSE
    if any(each.rescue is True for each in course):
        yield Exclusion.RESCUE
    last = course[-1]
    if last.asdas.value is None or (last.planned.mri and last.score.value is None):
        yield Exclusion.NO_LAST_VISIT
