"""Flares by the definition of the protocol, each counted from a visit that the protocol names.

Contents: `flare`, `flare_by`, `FlareVisit`. The start of the taper is the planned visit at which the protocol allows
the first step. It is the same for both arms, because the assessment is blinded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sparcc_pipeline.trial.course.answers import Answer, all_of, any_of
from sparcc_pipeline.trial.course.lesions import Points, new_or_worsened
from sparcc_pipeline.trial.cut_off import above, at_least
from sparcc_pipeline.trial.protocol.over_time import CountsFrom, FlareDefinition, FlareRules

NO_READER: Final = ""
"""Key of the machine's points."""


@dataclass(frozen=True)
class FlareVisit:
    """Values of one planned visit that a flare can use.

    Parameters
    ----------
    asdas, basdai : None where missing
    points : points of each reader whose reading counts, or of the machine; empty without items
    """

    week: int
    asdas: float | None = None
    basdai: float | None = None
    points: Mapping[str, Points] = field(default_factory=dict)

    @property
    def edema(self) -> float | None:
        """Mean number of points over the readers; None without items."""
        sums = [sum(point or 0 for point in each.values()) for each in self.points.values()]
        return sum(sums) / len(sums) if sums else None


Value = Callable[[FlareVisit], float | None]


def flare(course: Sequence[FlareVisit], rules: FlareRules, start_of_taper: int) -> Answer:
    """Return True if the last of these planned visits is a flare; None where it cannot be known, and at baseline.

    Parameters
    ----------
    course : every planned visit up to this one, in order
    start_of_taper : first week in which the protocol allows a step

    Examples
    --------
    ASDAS rises from 1.2 to 2.2; two visits of 2.1 and more in a row are a flare of C-OPTIMISE, one is not:

    >>> course = [FlareVisit(0, 3.0), FlareVisit(12, 1.2), FlareVisit(24, 2.2)]
    >>> flare(course, FlareRules(), 12)
    True
    >>> c_optimise = FlareRules(FlareDefinition.C_OPTIMISE, CountsFrom.START_OF_TAPER)
    >>> flare(course, c_optimise, 12), flare([*course, FlareVisit(36, 2.1)], c_optimise, 12)
    (False, True)
    """
    return flare_by(rules.definition, course, rules, start_of_taper)


def flare_by(
    definition: FlareDefinition, course: Sequence[FlareVisit], rules: FlareRules, start_of_taper: int
) -> Answer:
    """Return `flare` by another definition with the cut-offs of these rules.

    Sources: a rise of ASDAS of 0.9 [Molto2018]; ASDAS of 2.1 and more at two consecutive visits or over 3.5 once
    [COptimise]; BASDAI of 4 and more with a rise of 2, two new or worsened MRI lesions, or any of these and a rise of
    ASDAS [DanishTaper].
    """
    if len(course) < 2:
        return None
    if definition is FlareDefinition.C_OPTIMISE:
        return _high_asdas(course, rules, start_of_taper)
    if definition is FlareDefinition.DANISH_TAPER:
        parts = (FlareDefinition.ASDAS_RISE, FlareDefinition.BASDAI, FlareDefinition.MRI_LESIONS)
        return any_of(flare_by(each, course, rules, start_of_taper) for each in parts)
    if definition is FlareDefinition.MRI_LESIONS:
        return _mri(course, rules, start_of_taper)
    if definition is FlareDefinition.BASDAI:
        now = course[-1].basdai
        high = None if now is None else at_least(now, rules.basdai_from)
        return all_of((high, _rise(course, lambda each: each.basdai, rules.basdai_rise, rules, start_of_taper)))
    return _rise(course, lambda each: each.asdas, rules.asdas_rise, rules, start_of_taper)


def _rise(course: Sequence[FlareVisit], value: Value, limit: float, rules: FlareRules, start: int) -> Answer:
    """True if the value rose by the limit since the visit from which it counts."""
    now, reference = value(course[-1]), _reference(course[:-1], value, rules.counts_from, start)
    before = None if reference is None else value(reference)
    return None if now is None or before is None else at_least(now - before, limit)


def _reference(earlier: Sequence[FlareVisit], value: Value, counts_from: CountsFrom, start: int) -> FlareVisit | None:
    """The earlier visit from which a rise counts; of equal lowest ones the last. None where there is none."""
    if counts_from is CountsFrom.BASELINE:
        return earlier[0]
    if counts_from is CountsFrom.START_OF_TAPER:
        return next((visit for visit in earlier if visit.week >= start), None)
    known = [visit for visit in earlier if value(visit) is not None]
    if counts_from is CountsFrom.PREVIOUS:
        return known[-1] if known else None
    return min(reversed(known), key=lambda visit: value(visit) or 0.0, default=None)


def _high_asdas(course: Sequence[FlareVisit], rules: FlareRules, start: int) -> Answer:
    """ASDAS very high at this visit, or high at this one and the planned one before; both after the reference."""
    reference = _reference(course[:-1], lambda each: each.asdas, rules.counts_from, start)
    if reference is None:
        return None
    counted = [visit.asdas for visit in course if visit.week > reference.week]
    now, before = counted[-1], counted[-2:-1]
    if now is None:
        return None
    if above(now, rules.asdas_very_high):
        return True
    if not at_least(now, rules.asdas_high) or not before:
        return False
    return None if before[0] is None else at_least(before[0], rules.asdas_high)


def _mri(course: Sequence[FlareVisit], rules: FlareRules, start: int) -> Answer:
    """True if the mean count of the readers who read both visits reaches the limit."""
    reference = _reference(course[:-1], lambda each: each.edema, rules.counts_from, start)
    now = course[-1].points
    if reference is None:
        return None
    both = [reader for reader in now if reader in reference.points]
    if not both:
        return None
    counts = [new_or_worsened(reference.points[reader], now[reader]) for reader in both]
    return at_least(sum(counts) / len(counts), rules.mri_lesions)
