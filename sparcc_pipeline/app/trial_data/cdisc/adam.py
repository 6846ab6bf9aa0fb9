"""ADaM datasets of a trial: ADSL, and ADQS with ASDAS, SPARCC, the questionnaires and the dual target. Source: [Adam].

Contents: `adam_datasets`. A blinded export has no treatment variable, so its ADSL is no complete one by the standard.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sparcc_pipeline.app.trial_data.cdisc.dataset import Dataset, Kind, Variable
from sparcc_pipeline.app.trial_data.cdisc.source import ExportData
from sparcc_pipeline.app.trial_data.columns import study_day
from sparcc_pipeline.trial.assessment import VisitAssessment
from sparcc_pipeline.trial.instruments import Instrument
from sparcc_pipeline.trial.schedule import Timing

_PARAMETERS: Final = (
    ("ASDASCRP", "ASDAS-CRP", Instrument.ASDAS_CRP),
    ("ASDASESR", "ASDAS-ESR", Instrument.ASDAS_ESR),
    ("BASDAI", "BASDAI", Instrument.BASDAI),
    ("BASFI", "BASFI", Instrument.BASFI),
    ("ASASHI", "ASAS HI", Instrument.ASAS_HI),
    ("ASQOL", "ASQoL", Instrument.ASQOL),
    ("NSAIDIDX", "NSAID index", Instrument.NSAID_INDEX),
)

_SUBJECT: Final = (
    Variable("STUDYID", "Study Identifier", origin="Predecessor"),
    Variable("USUBJID", "Unique Subject Identifier", origin="Predecessor"),
    Variable("SUBJID", "Subject Identifier for the Study", origin="Predecessor"),
    Variable("SITEID", "Study Site Identifier", origin="Predecessor"),
)


def adam_datasets(data: ExportData) -> list[Dataset]:
    """Return ADSL and ADQS; treatment variables are there only where the arms are given."""
    return [_subjects(data), _scores(data)]


def _subjects(data: ExportData) -> Dataset:
    baseline = {each.participant.participant: each for each in data.assessed if each.planned.week == 0}
    followed = {each.participant.participant for each in data.assessed if each.planned.week and each.visit is not None}
    rows = []
    for person in data.participants:
        name, first = person.participant, baseline[person.participant]
        row: dict[str, Any] = {
            **_keys(data, name, person.site),
            "AGE": None if person.screening.age_years is None else int(person.screening.age_years),
            "AGEU": "YEARS",
            "SEX": "U",
            "RFSTDT": data.start(name),
            "BASDAS": first.asdas.value,
            "BSPARCC": first.score.value,
            "FUPFL": "Y" if name in followed else "N",
        }
        if data.arms is not None:
            arm = data.arms.arms.get(name)
            number = None if arm is None else [each.name for each in data.protocol.arms].index(arm) + 1
            row |= {"TRT01P": arm, "TRT01PN": number, "ITTFL": "N" if arm is None else "Y"}
        rows.append(row)
    variables = [
        *_SUBJECT,
        Variable("AGE", "Age", Kind.WHOLE, "Predecessor"),
        Variable("AGEU", "Age Units", origin="Predecessor"),
        Variable("SEX", "Sex", origin="Predecessor"),
        Variable("RFSTDT", "Date of Baseline Visit", Kind.DATE, "Derived"),
        Variable("BASDAS", "Baseline ASDAS", Kind.NUMBER, "Derived"),
        Variable("BSPARCC", "Baseline SPARCC", Kind.NUMBER, "Derived"),
        Variable("FUPFL", "Visit after Baseline Flag", origin="Derived"),
    ]
    if data.arms is not None:
        variables += [
            Variable("TRT01P", "Planned Treatment for Period 01", origin="Assigned"),
            Variable("TRT01PN", "Planned Treatment for Period 01 (N)", Kind.WHOLE, "Assigned"),
            Variable("ITTFL", "Intent-To-Treat Population Flag", origin="Derived", comment="Y: in the allocation"),
        ]
    return Dataset(
        "ADSL",
        "Subject-Level Analysis Dataset",
        "ADaM",
        "SUBJECT LEVEL ANALYSIS DATASET",
        "One record per subject",
        ("STUDYID", "USUBJID"),
        variables,
        rows,
    )


def _scores(data: ExportData) -> Dataset:
    first: dict[tuple[str, str], float | None] = {}
    rows = []
    for each in data.assessed:
        name = each.participant.participant
        for code, label, value, text in _values(each):
            if each.planned.week == 0:
                first[name, code] = value
            base = first.get((name, code))
            change = None if value is None or base is None or each.planned.week == 0 else value - base
            row: dict[str, Any] = {
                **_keys(data, name, each.participant.site),
                "PARAMCD": code,
                "PARAM": label,
                "AVISIT": each.planned.label,
                "AVISITN": each.planned.week,
                "ADT": data.date(name, each.planned.visit),
                "ADY": None if each.visit is None else study_day(each.visit.day),
                "AVAL": value,
                "AVALC": text,
                "BASE": base,
                "CHG": change,
                "PCHG": None if change is None or not base else 100 * change / base,
                "ABLFL": "Y" if each.planned.week == 0 and value is not None else None,
                "ANL01FL": "Y" if value is not None and each.timing is Timing.IN_WINDOW else None,
            }
            if data.arms is not None:
                row["TRTP"] = data.arms.arms.get(name)
            rows.append(row)
    return Dataset(
        "ADQS",
        "Scores Analysis Dataset",
        "ADaM",
        "BASIC DATA STRUCTURE",
        "One record per subject per parameter per analysis visit",
        ("STUDYID", "USUBJID", "PARAMCD", "AVISITN"),
        _score_variables(unblinded=data.arms is not None),
        rows,
    )


def _score_variables(*, unblinded: bool) -> tuple[Variable, ...]:
    return (
        *_SUBJECT,
        *((Variable("TRTP", "Planned Treatment", origin="Assigned"),) if unblinded else ()),
        Variable("PARAMCD", "Parameter Code", origin="Assigned"),
        Variable("PARAM", "Parameter", origin="Assigned"),
        Variable("AVISIT", "Analysis Visit", origin="Protocol"),
        Variable("AVISITN", "Analysis Visit (N)", Kind.WHOLE, "Protocol", "planned week after the baseline"),
        Variable("ADT", "Analysis Date", Kind.DATE, "Derived"),
        Variable("ADY", "Analysis Relative Day", Kind.WHOLE, "Derived"),
        Variable("AVAL", "Analysis Value", Kind.NUMBER, "Derived"),
        Variable("AVALC", "Analysis Value (C)", origin="Derived", comment="status of the dual target"),
        Variable("BASE", "Baseline Value", Kind.NUMBER, "Derived"),
        Variable("CHG", "Change from Baseline", Kind.NUMBER, "Derived"),
        Variable("PCHG", "Percent Change from Baseline", Kind.NUMBER, "Derived"),
        Variable("ABLFL", "Baseline Record Flag", origin="Derived"),
        Variable("ANL01FL", "Analysis Flag 01", origin="Derived", comment="Y: a value in the window of the visit"),
    )


def _values(each: VisitAssessment) -> Iterator[tuple[str, str, float | None, str | None]]:
    for code, label, instrument in _PARAMETERS:
        yield code, label, each.results[instrument].value, None
    yield "SPARCC", "SPARCC that counts", each.score.value, None
    met = each.target.met
    yield "DUALTGT", "Dual target met", None if met is None else float(met), each.target.status.value


def _keys(data: ExportData, participant: str, site: str | None) -> dict[str, Any]:
    return {
        "STUDYID": data.study,
        "USUBJID": data.subject(participant),
        "SUBJID": participant,
        "SITEID": site,
    }
