"""The dual target over several visits: confirmed by a second visit or scan, and sustained.

Contents: `confirmed_target`, `sustained_target`, `Halves`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparcc_pipeline.trial.course.answers import Answer, all_of, any_of
from sparcc_pipeline.trial.cut_off import below
from sparcc_pipeline.trial.protocol.over_time import (
    Confirmation,
    SustainedDefinition,
    SustainedRules,
    sustained_begin,
)


@dataclass(frozen=True)
class Halves:
    """Both halves of the target at one planned visit.

    Parameters
    ----------
    clinical, imaging : None without a value
    scan_planned : True if imaging is planned at this visit
    """

    clinical: Answer
    imaging: Answer
    scan_planned: bool = True

    @property
    def met(self) -> Answer:
        """True if both halves are met, False if one is missed, else None."""
        return all_of((self.clinical, self.imaging))


def confirmed_target(halves: Sequence[Halves], confirmation: Confirmation) -> Answer:
    """Return whether the target counts as met at the last of these planned visits.

    Two visits: both halves at this visit and at the planned one before. Second scan: both halves at this visit, and the
    imaging half also at the last planned scan before it. The first visit confirms nothing: it is missed or unknown.

    Parameters
    ----------
    halves : every planned visit up to this one, in order

    Examples
    --------
    >>> course = [Halves(False, True), Halves(True, True)]
    >>> [confirmed_target(course, each) for each in Confirmation]
    [True, False, True]
    """
    now, earlier = halves[-1], halves[:-1]
    if confirmation is Confirmation.SINGLE_VISIT:
        return now.met
    if confirmation is Confirmation.TWO_VISITS:
        return all_of((now.met, earlier[-1].met if earlier else None))
    scans = [each.imaging for each in earlier if each.scan_planned]
    return all_of((now.met, scans[-1] if scans else None))


def sustained_target(
    rules: SustainedRules,
    weeks: Sequence[int],
    met: Sequence[Answer],
    asdas: Mapping[int, float | None],
    start_of_taper: int,
    inactive_below: float,
) -> Answer:
    """Return whether the target is sustained at the last of these planned visits; None where the rule does not ask.

    Two visits: the target is met at this visit and at the planned one before. C-OPTIMISE, asked at its last week alone:
    ASDAS inactive there, and at the first or the second week; weeks without a planned visit do not count.
    Source: [COptimise].

    Parameters
    ----------
    weeks, met : planned week of every visit up to this one, and whether the target is met
    asdas : ASDAS by week
    start_of_taper : first week in which the protocol allows a step
    inactive_below : ASDAS below which disease is inactive

    Examples
    --------
    ASDAS 1.4 at week 32, 1.2 at week 36 and 1.0 at week 48:

    >>> rules = SustainedRules(SustainedDefinition.C_OPTIMISE)
    >>> asdas = {32: 1.4, 36: 1.2, 48: 1.0}
    >>> sustained_target(rules, [32, 36, 48], [None] * 3, asdas, 12, 1.3)
    True
    >>> sustained_target(rules, [32, 36, 48], [None] * 3, {**asdas, 36: 1.3}, 12, 1.3)
    False
    """
    if rules.definition is SustainedDefinition.TWO_VISITS:
        return all_of(met[-2:]) if len(met) > 1 else None
    begin = sustained_begin(rules, start_of_taper)
    if weeks[-1] != begin + rules.last_week:
        return None

    def inactive(week: int) -> Answer:
        value = asdas.get(week)
        return None if value is None else below(value, inactive_below)

    early = [begin + week for week in (rules.first_week, rules.second_week) if begin + week in weeks]
    return all_of((any_of(map(inactive, early)), inactive(weeks[-1])))
