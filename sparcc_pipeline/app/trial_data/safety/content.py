"""The sections of the page of safety: overview, adverse events, laboratory, deviations, listings.

Contents: `safety_sections`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.trial_data.safety.summary import (
    EventCount,
    Group,
    event_counts,
    laboratory_rows,
    shifts,
    terms_of,
)
from sparcc_pipeline.app.trial_data.sections import Section, shortened
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.monitoring.safety_records import HIGHEST_GRADE, Deviation
from sparcc_pipeline.trial.protocol.definition import Protocol

KINDS: Final[Mapping[str, Message]] = {
    "any": Message("any adverse event"),
    "serious": Message("serious"),
    "severe": Message("grade 3 or higher"),
    "related": Message("related, by the investigator"),
    "special_interest": Message("of special interest"),
    "fatal": Message("fatal"),
    "no_grade": Message("grade not given"),
}
"""Names of the kinds of adverse events in `summary.KINDS_OF_EVENT`."""

OUTCOME_NAMES: Final[Mapping[str, Message]] = {
    "recovered": Message("recovered"),
    "recovering": Message("recovering"),
    "not recovered": Message("not recovered"),
    "recovered with sequelae": Message("recovered with sequelae"),
    "fatal": Message("fatal"),
    "unknown": Message("unknown"),
}
"""Names of the outcomes in `fields.OUTCOMES`."""

_GRADES: Final = (*range(1, HIGHEST_GRADE + 1), None)


def safety_sections(groups: Sequence[Group], protocol: Protocol, words: Language) -> list[Section]:
    """Return every section."""
    return [
        _overview(groups, words),
        _by_term(groups, words),
        _laboratory(groups, protocol, words),
        _shifts(groups, protocol, words),
        _deviation_kinds(groups, words),
        _deviations(groups, words),
        _listing(groups, words),
    ]


def _overview(groups: Sequence[Group], words: Language) -> Section:
    counts = [event_counts(group.events) for group in groups]
    rows = [
        [words.say(name), *(_share(each[kind], group) for each, group in zip(counts, groups, strict=True))]
        for kind, name in KINDS.items()
    ]
    rows.append([words.say("participant-years of follow-up"), *(f"{group.years:.1f}" for group in groups)])
    rows.append([words.say("adverse events a 100 participant-years"), *(_rate(group) for group in groups)])
    notes = [
        words.say("Participants with at least one event (share of n), and in brackets the number of events."),
        words.say("Events that began before the baseline are left out; an unknown day counts as after it."),
        words.say("Grades are those of the sites; a grade that was not given is never guessed."),
    ]
    return Section("overview", words.say("Adverse events"), ["", *_named(groups)], rows, notes=notes)


def _share(count: EventCount, group: Group) -> str:
    share = f" ({100 * count.participants / group.n:.0f} %)" if group.n else ""
    return f"{count.participants}{share} [{count.events}]"


def _rate(group: Group) -> str:
    return f"{100 * len(group.events) / group.years:.1f}" if group.years else "–"


def _named(groups: Sequence[Group]) -> list[str]:
    return [f"{group.name} (n = {group.n})" for group in groups]


def _by_term(groups: Sequence[Group], words: Language) -> Section:
    found = [terms_of(group.events) for group in groups]
    keys = sorted({key for each in found for key in each}, key=lambda key: (-_people(found, key), key))
    head = [words.say("Category"), words.say("Term")]
    for group in groups:
        head += [f"{group.name} (n = {group.n})", *(_grade(grade, words) for grade in _GRADES)]
    rows = []
    for key in keys:
        cells = [key[0] or "–", key[1]]
        for each in found:
            counts = each.get(key, {})
            cells += [str(sum(counts.values())), *(str(counts.get(grade, 0)) for grade in _GRADES)]
        rows.append(cells)
    notes = [
        words.say("Participants by their worst grade of the term; terms in the words of the sites, not coded here.")
    ]
    return shortened(Section("terms", words.say("Adverse events by term and grade"), head, rows, notes=notes))


def _people(found: Sequence[Mapping[tuple[str, str], Mapping[int | None, int]]], key: tuple[str, str]) -> int:
    return sum(sum(each.get(key, {}).values()) for each in found)


def _grade(grade: int | None, words: Language) -> str:
    return words.say("no grade") if grade is None else words.say("grade {n}", n=grade)


def _laboratory(groups: Sequence[Group], protocol: Protocol, words: Language) -> Section:
    head = [
        words.say("Test"),
        words.say("Visit"),
        words.say("Group"),
        "n",
        words.say("Median"),
        words.say("Range"),
        words.say("Below the limits"),
    ]
    head += [words.say("Above the limits"), words.say("grade 3 or higher"), words.say("grade not given")]
    rows = [
        [
            f"{row.test}, {row.unit}",
            row.visit,
            group.name,
            str(row.values.n),
            f"{row.values.median:g}",
            f"{row.lowest:g} - {row.highest:g}",
            *(str(count) for count in (row.below, row.above, row.severe, row.no_grade)),
        ]
        for group in groups
        for row in laboratory_rows(group.laboratory, protocol)
    ]
    order = {visit.visit: k for k, visit in enumerate(protocol.visits)}
    rows.sort(key=lambda row: (row[0], order[row[1]]))
    return shortened(
        Section(
            "laboratory", words.say("Laboratory values"), head, rows, notes=[words.say("n: participants with a value.")]
        )
    )


def _shifts(groups: Sequence[Group], protocol: Protocol, words: Language) -> Section:
    head = [words.say("Test"), words.say("Group"), "n", words.say("Grade at baseline")]
    head += [_grade(grade, words) for grade in range(HIGHEST_GRADE + 1)]
    rows = []
    for group in groups:
        for test, counts in shifts(group.laboratory, protocol).items():
            total = sum(counts.values())
            for first in sorted({first for first, _ in counts}):
                after = [str(counts.get((first, worst), 0)) for worst in range(HIGHEST_GRADE + 1)]
                rows.append([test, group.name, str(total), str(first), *after])
    notes = [words.say("Columns: worst grade after the baseline. n: participants with a given grade at both.")]
    return shortened(Section("shifts", words.say("Shift of laboratory grades"), head, sorted(rows), notes=notes))


def _deviation_kinds(groups: Sequence[Group], words: Language) -> Section:
    counts = [Counter(words.say(each.kind) for each in group.deviations) for group in groups]
    people = [
        {kind: len({d.participant for d in group.deviations if words.say(d.kind) == kind}) for kind in count}
        for group, count in zip(groups, counts, strict=True)
    ]
    kinds = sorted({kind for count in counts for kind in count})
    rows = [
        [kind, *(f"{of.get(kind, 0)} [{count[kind]}]" for of, count in zip(people, counts, strict=True))]
        for kind in kinds
    ]
    notes = [words.say("Participants with at least one deviation, and in brackets the number of deviations.")]
    return Section("deviations", words.say("Protocol deviations"), ["", *_named(groups)], rows, notes=notes)


def _deviations(groups: Sequence[Group], words: Language) -> Section:
    listed = sorted((each for group in groups for each in group.deviations), key=_place)
    rows = [
        [
            each.participant,
            each.visit or "–",
            words.say(each.kind),
            words.say(each.found),
            words.say("the site") if each.source == "site" else words.say("the data"),
            "–" if each.major is None else words.say("yes") if each.major else words.say("no"),
        ]
        for each in listed
    ]
    head = [
        words.say("Participant"),
        words.say("Visit"),
        words.say("Kind"),
        words.say("Found"),
        words.say("From"),
        words.say("Major, by the site"),
    ]
    notes = [words.say("Never by arm: the list is the same in a blinded and in an unblinded report.")]
    return shortened(Section("listing", words.say("List of protocol deviations"), head, rows, notes=notes))


def _place(each: Deviation) -> tuple[str, str, str]:
    return each.participant, each.visit or "", each.kind


def _listing(groups: Sequence[Group], words: Language) -> Section:
    """List serious, severe and fatal events, and those of special interest."""
    head = [
        words.say("Participant"),
        words.say("Term"),
        words.say("First day"),
        words.say("Last day"),
        words.say("Grade"),
        words.say("Kind"),
        words.say("Outcome"),
    ]
    rows = []
    for each in sorted((e for group in groups for e in group.events), key=lambda e: (e.participant, e.first_day or 0)):
        kinds = [
            kind for kind in ("serious", "severe", "special_interest", "fatal") if event_counts([each])[kind].events
        ]
        if kinds:
            numbers = ["–" if n is None else str(n) for n in (each.first_day, each.last_day, each.grade)]
            names = ", ".join(words.say(KINDS[kind]) for kind in kinds)
            rows.append(
                [
                    each.participant,
                    each.term,
                    *numbers,
                    names,
                    words.say(OUTCOME_NAMES[each.outcome]) if each.outcome else "–",
                ]
            )
    notes = [words.say("Days after the baseline visit, which is day 0. Never by arm.")]
    return shortened(Section("serious", words.say("Serious and severe adverse events"), head, rows, notes=notes))
