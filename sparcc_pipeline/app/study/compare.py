"""Compare follow-ups with a baseline: each visit is read on its own, aligned, and scored on the matching slices.

Only the choice of slices passes from the baseline to a follow-up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from sparcc_pipeline.app.study.images import Request, Study
from sparcc_pipeline.app.study.score import Scored, Segmenter, score_slices, six_slices
from sparcc_pipeline.app.study.visits import Visit, VisitReader, movement_warnings
from sparcc_pipeline.errors import InputError, RegistrationError, SparccError, UnscorableError
from sparcc_pipeline.imaging.alignment.follow_up import Alignment, align
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.follow_up.alignment import MatchedSlices, match_six_slices
from sparcc_pipeline.sparcc.follow_up.change import ITEMS, ScoreChange, score_change
from sparcc_pipeline.sparcc.intensity import REFERENCE_NAMES
from sparcc_pipeline.volume import SeriesRef


@dataclass(frozen=True)
class Compared:
    """A follow-up that was aligned with the baseline and scored on the matching slices."""

    visit: Visit
    scored: Scored
    alignment: Alignment
    matched: MatchedSlices
    change: ScoreChange
    days: int | None
    warnings: tuple[Message, ...]


@dataclass(frozen=True)
class NotCompared:
    """A follow-up without a change, and the reason."""

    name: str
    error: SparccError


@dataclass(frozen=True)
class Comparison:
    """The baseline and its follow-ups, in the order given."""

    baseline: Visit
    scored: Scored
    follow_ups: tuple[Compared | NotCompared, ...]


def compare_studies(
    sources: Sequence[Path],
    request: Request,
    load_segmenter: Callable[[], Segmenter],
    progress: Callable[[str], None],
    *,
    same_person: bool = False,
) -> Comparison:
    """Compare follow-ups with the baseline.

    Parameters
    ----------
    sources : the baseline, then the follow-ups; each is a study or the folder of a finished score
    request : `slices` are those of the baseline; the rest applies to every study
    same_person : compare even if the patient identifiers differ

    Raises
    ------
    InputError, UnscorableError : the baseline has no score; errors of a follow-up are in its `NotCompared`
    ModelError : no usable model
    """
    reader = VisitReader(load_segmenter, progress)
    checks = _Checks(same_person)
    try:
        baseline = reader.read(visit_name(0), sources[0], request, partial(checks.accept, visit_name(0)))
        progress("Scoring the baseline")
        scored = score_slices(baseline.segmented, baseline.six or six_slices(baseline.segmented, request))
    except (InputError, UnscorableError) as error:
        raise of_visit(visit_name(0), error) from error
    follow_ups: list[Compared | NotCompared] = []
    for index, source in enumerate(sources[1:], start=1):
        name = visit_name(index)
        try:
            visit = reader.read(name, source, replace(request, slices=None), partial(checks.accept, name))
            progress(f"Aligning {name.lower()} with the baseline")
            follow_ups.append(_compare(baseline, scored, visit, checks.warnings(name)))
        except (InputError, UnscorableError, RegistrationError) as error:
            follow_ups.append(NotCompared(name, error))
    return Comparison(baseline, scored, tuple(follow_ups))


def visit_name(index: int) -> Message:
    """Return the name of the visit at this place of the command line."""
    return Message("Baseline") if index == 0 else Message("Follow-up {number}", number=index)


def of_visit(name: str, error: SparccError) -> SparccError:
    """Return the error with the name of the visit in its text."""
    return type(error)(f"{name.lower()}: {error}")


def _compare(baseline: Visit, scored: Scored, visit: Visit, warnings: list[Message]) -> Compared:
    fixed, moving = baseline.segmented, visit.segmented
    alignment = align(baseline.anatomy, visit.anatomy)
    transform = alignment.registration.transform
    matched = match_six_slices(scored.score.slices, fixed.joints, moving.study.stir.geometry, transform)
    rescored = score_slices(moving, matched.slices)
    change = score_change(scored.score, rescored.score, matched.matched)
    return Compared(
        visit=visit,
        scored=rescored,
        alignment=alignment,
        matched=matched,
        change=change,
        days=days_between(fixed.study.stir.series, moving.study.stir.series),
        warnings=(*warnings, *_difference_warnings(scored, rescored, change), *movement_warnings(visit)),
    )


class _Checks:
    """Checks that the visits belong together; the first accepted study is the baseline."""

    def __init__(self, same_person: bool) -> None:
        self._same_person = same_person
        self._names: dict[str, str] = {}
        self._baseline: SeriesRef | None = None
        self._warnings: dict[str, list[Message]] = {}

    def accept(self, name: str, study: Study) -> None:
        """Reject images that were given before, and images of another person.

        Raises
        ------
        InputError : the images were given before, or are those of another person
        """
        # Only pixels count: a copy that was sent again under new UIDs is the same study.
        content = hashlib.sha256(study.stir.signal.tobytes()).hexdigest()
        if content in self._names:
            raise InputError(
                f"expected another study as {name.lower()}, found the same images as {self._names[content].lower()}; "
                "give the study of the later visit"
            )
        self._names[content] = name
        series = study.stir.series
        if self._baseline is None:
            self._baseline = series
            return
        self._warnings[name] = [*self._other_person(name, self._baseline, series), *_dates(self._baseline, series)]

    def warnings(self, name: str) -> list[Message]:
        """Return the warnings about an accepted follow-up."""
        return self._warnings[name]

    def _other_person(self, name: str, baseline: SeriesRef, follow_up: SeriesRef) -> list[Message]:
        if baseline.person is None or follow_up.person is None:
            return [
                Message("the images have no patient identifier: it was not checked that both visits show one person")
            ]
        if baseline.person == follow_up.person:
            return []
        if not self._same_person:
            raise InputError(
                f"expected {name.lower()} of the same person, found another patient identifier than at baseline; "
                "give studies of one person, or add --same-person if the identifier was changed"
            )
        return [Message("the patient identifiers differ: compared because --same-person was given")]


def _dates(baseline: SeriesRef, follow_up: SeriesRef) -> list[Message]:
    """Return the warnings about the dates of both visits."""
    days = days_between(baseline, follow_up)
    if days is None:
        return [Message("a visit has no date: it was not checked that the baseline is the earlier one")]
    if days < 0:
        return [Message("it was acquired {days} days before the baseline: are the two swapped?", days=-days)]
    return []


def days_between(baseline: SeriesRef, follow_up: SeriesRef) -> int | None:
    """Return the days from baseline to follow-up; None if a date is missing."""
    if baseline.acquired is None or follow_up.acquired is None:
        return None
    first, second = (datetime.fromisoformat(series.acquired) for series in (baseline, follow_up) if series.acquired)
    return (second.date() - first.date()).days


def _difference_warnings(baseline: Scored, follow_up: Scored, change: ScoreChange) -> list[Message]:
    """Return the warnings about other differences between the visits."""
    warnings = []
    if baseline.model.get("sha256") != follow_up.model.get("sha256"):
        warnings.append(Message("the visits were segmented by different models: score both again with one"))
    before, after = baseline.score.reference_signal, follow_up.score.reference_signal
    if before is not None and after is not None and before.kind != after.kind:
        warnings.append(
            Message(
                "intensity was measured against the {before} at baseline and the {after} here: its change may come "
                "from the reference",
                before=REFERENCE_NAMES[before.kind],
                after=REFERENCE_NAMES[after.kind],
            )
        )
    if change.common_items < ITEMS and change.common_total != change.total:
        warnings.append(
            Message(
                "{missing} of {items} items are not evaluable at both visits; over the others the change is "
                "{change:+d}",
                missing=ITEMS - change.common_items,
                items=ITEMS,
                change=change.common_total,
            )
        )
    return warnings
