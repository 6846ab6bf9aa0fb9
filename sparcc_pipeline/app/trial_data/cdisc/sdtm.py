"""SDTM datasets of a trial: DM, SV, QS, LB, AE, DV and, unblinded only, EX. Source: [Sdtm]. MK is in `sparcc_items.py`.

Contents: `sdtm_datasets`. Values that the data do not have stay empty and are never guessed: sex is U, and adverse
events have no dictionary term.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from sparcc_pipeline.app.trial_data.cdisc.dataset import KEYS, VISIT, Dataset, Kind, Variable, numbered, yes_no
from sparcc_pipeline.app.trial_data.cdisc.exposure import exposure
from sparcc_pipeline.app.trial_data.cdisc.laboratory import laboratory
from sparcc_pipeline.app.trial_data.cdisc.source import ExportData
from sparcc_pipeline.app.trial_data.cdisc.sparcc_items import sparcc_items
from sparcc_pipeline.app.trial_data.columns import study_day

_OUTCOMES: Final = {
    "recovered": "RECOVERED/RESOLVED",
    "recovering": "RECOVERING/RESOLVING",
    "not recovered": "NOT RECOVERED/NOT RESOLVED",
    "recovered with sequelae": "RECOVERED/RESOLVED WITH SEQUELAE",
    "fatal": "FATAL",
    "unknown": "UNKNOWN",
}
"""Outcomes in the words of the controlled terminology."""

_QUESTIONNAIRES: Final = (
    ("basdai", "BASDAI", "BASDAI"),
    ("basfi", "BASFI", "BASFI"),
    ("asas_hi", "ASASHI", "ASAS HI"),
    ("asqol", "ASQOL", "ASQoL"),
)
"""Field of a visit, start of the test code, and category. The texts of items belong to their owners."""


def sdtm_datasets(data: ExportData) -> list[Dataset]:
    """Return the datasets; EX and the arm are there only where the arms are given."""
    found = [_demographics(data), _subject_visits(data), _questionnaires(data), laboratory(data)]
    found += [_events(data), _deviations(data), sparcc_items(data)]
    return found if data.arms is None else [*found, exposure(data)]


def _demographics(data: ExportData) -> Dataset:
    rows = []
    for each in data.participants:
        row: dict[str, Any] = {
            **data.key("DM", each.participant),
            "SUBJID": each.participant,
            "RFSTDTC": data.start(each.participant),
            "RFENDTC": data.end(each.participant),
            "SITEID": each.site,
            "AGE": None if each.screening.age_years is None else int(each.screening.age_years),
            "AGEU": "YEARS",
            "SEX": "U",
            "COUNTRY": "CHN",
        }
        if data.arms is not None:
            arm = data.arms.arms.get(each.participant)
            label = next((a.label for a in data.protocol.arms if a.name == arm), None)
            row |= {"ARMCD": arm and arm.upper()[:20], "ARM": label, "ARMNRS": None if arm else "NOT ASSIGNED"}
        rows.append(row)
    variables = [
        *KEYS,
        Variable("SUBJID", "Subject Identifier for the Study"),
        Variable("RFSTDTC", "Subject Reference Start Date/Time", origin="Derived", comment="day of the baseline visit"),
        Variable("RFENDTC", "Subject Reference End Date/Time", origin="Derived", comment="day of the last visit"),
        Variable("SITEID", "Study Site Identifier", origin="Assigned"),
        Variable("AGE", "Age", Kind.WHOLE),
        Variable("AGEU", "Age Units", origin="Assigned"),
        Variable("SEX", "Sex", origin="Assigned", comment="U: the tables of the trial have no sex"),
        Variable("COUNTRY", "Country", origin="Protocol"),
    ]
    if data.arms is not None:
        variables += [
            Variable("ARMCD", "Planned Arm Code", origin="Assigned"),
            Variable("ARM", "Description of Planned Arm", origin="Protocol"),
            Variable("ARMNRS", "Reason Arm and/or Actual Arm is Null", origin="Assigned"),
        ]
    return Dataset(
        "DM",
        "Demographics",
        "SDTM",
        "SPECIAL PURPOSE",
        "One record per subject",
        ("STUDYID", "USUBJID"),
        variables,
        rows,
    )


def _subject_visits(data: ExportData) -> Dataset:
    rows = [
        {
            **data.key("SV", each.participant),
            "VISITNUM": data.number(each.visit),
            "VISIT": each.visit,
            "SVSTDTC": data.date(each.participant, each.visit),
            "SVENDTC": data.date(each.participant, each.visit),
            "SVSTDY": study_day(each.day),
            "SVENDY": study_day(each.day),
        }
        for each in data.loaded.data.visits
    ]
    variables = (
        *KEYS,
        *VISIT,
        Variable("SVSTDTC", "Start Date/Time of Observation"),
        Variable("SVENDTC", "End Date/Time of Observation"),
        Variable("SVSTDY", "Study Day of Start of Observation", Kind.WHOLE, "Derived"),
        Variable("SVENDY", "Study Day of End of Observation", Kind.WHOLE, "Derived"),
    )
    return Dataset(
        "SV",
        "Subject Visits",
        "SDTM",
        "SPECIAL PURPOSE",
        "One record per subject per visit",
        ("STUDYID", "USUBJID", "VISITNUM"),
        variables,
        rows,
    )


def _questionnaires(data: ExportData) -> Dataset:
    rows: list[dict[str, Any]] = []
    for visit in data.loaded.data.visits:
        for code, test, category, value in _answers(visit):
            rows.append(
                {
                    **data.key("QS", visit.participant),
                    "QSTESTCD": code,
                    "QSTEST": test,
                    "QSCAT": category,
                    "QSORRES": None if value is None else f"{value:g}",
                    "QSSTRESC": None if value is None else f"{value:g}",
                    "QSSTRESN": value,
                    "QSSTAT": "NOT DONE" if value is None else None,
                    "QSLOBXFL": "Y" if visit.visit == data.protocol.baseline.visit and value is not None else None,
                    "VISITNUM": data.number(visit.visit),
                    "VISIT": visit.visit,
                    "QSDTC": data.date(visit.participant, visit.visit),
                    "QSDY": study_day(visit.day),
                }
            )
    numbered(rows, "QSSEQ")
    variables = (
        *KEYS,
        Variable("QSSEQ", "Sequence Number", Kind.WHOLE, "Derived"),
        Variable("QSTESTCD", "Question Short Name", origin="Assigned"),
        Variable("QSTEST", "Question Name", origin="Assigned", comment="number of the item, not its text"),
        Variable("QSCAT", "Category of Question", origin="Assigned"),
        Variable("QSORRES", "Finding in Original Units"),
        Variable("QSSTRESC", "Character Result/Finding in Std Format", origin="Assigned"),
        Variable("QSSTRESN", "Numeric Finding in Standard Units", Kind.NUMBER, "Assigned"),
        Variable("QSSTAT", "Completion Status"),
        Variable("QSLOBXFL", "Last Observation Before Exposure Flag", origin="Derived"),
        *VISIT,
        Variable("QSDTC", "Date/Time of Finding"),
        Variable("QSDY", "Study Day of Finding", Kind.WHOLE, "Derived"),
    )
    return Dataset(
        "QS",
        "Questionnaires",
        "SDTM",
        "FINDINGS",
        "One record per questionnaire item per visit per subject",
        ("STUDYID", "USUBJID", "QSTESTCD", "VISITNUM"),
        variables,
        rows,
    )


def _answers(visit: Any) -> Iterator[tuple[str, str, str, float | None]]:
    for field, code, category in _QUESTIONNAIRES:
        for n, value in enumerate(getattr(visit, field), 1):
            yield f"{code}{n:02d}"[:8], f"{category} item {n}", category, value
    yield "PTGA", "Patient Global Assessment", "PATIENT GLOBAL", visit.patient_global


def _events(data: ExportData) -> Dataset:
    rows: list[dict[str, Any]] = [
        {
            **data.key("AE", each.participant),
            "AETERM": each.term,
            "AEDECOD": None,
            "AEBODSYS": each.category,
            "AESER": yes_no(each.serious),
            "AEREL": yes_no(each.related),
            "AEOUT": _OUTCOMES.get(each.outcome or ""),
            "AETOXGR": None if each.grade is None else str(each.grade),
            "AESTDTC": each.start_date,
            "AEENDTC": each.end_date,
            "AESTDY": study_day(each.first_day),
            "AEENDY": study_day(each.last_day),
        }
        for each in data.safety.adverse_events
    ]
    numbered(rows, "AESEQ")
    variables = (
        *KEYS,
        Variable("AESEQ", "Sequence Number", Kind.WHOLE, "Derived"),
        Variable("AETERM", "Reported Term for the Adverse Event"),
        Variable("AEDECOD", "Dictionary-Derived Term", origin="Assigned", comment="empty until the events are coded"),
        Variable("AEBODSYS", "Body System or Organ Class"),
        Variable("AESER", "Serious Event"),
        Variable("AEREL", "Causality"),
        Variable("AEOUT", "Outcome of Adverse Event"),
        Variable("AETOXGR", "Standard Toxicity Grade", comment="CTCAE grade as the site gives it, never derived"),
        Variable("AESTDTC", "Start Date/Time of Adverse Event"),
        Variable("AEENDTC", "End Date/Time of Adverse Event"),
        Variable("AESTDY", "Study Day of Start of Adverse Event", Kind.WHOLE, "Derived"),
        Variable("AEENDY", "Study Day of End of Adverse Event", Kind.WHOLE, "Derived"),
    )
    return Dataset(
        "AE",
        "Adverse Events",
        "SDTM",
        "EVENTS",
        "One record per adverse event per subject",
        ("STUDYID", "USUBJID", "AESTDTC", "AETERM"),
        variables,
        rows,
    )


def _deviations(data: ExportData) -> Dataset:
    rows: list[dict[str, Any]] = []
    for each in data.deviations:
        when = each.date or (data.date(each.participant, each.visit) if each.visit else None)
        start = data.start(each.participant)
        day = None if when is None or start is None else (date.fromisoformat(when) - date.fromisoformat(start)).days
        rows.append(
            {
                **data.key("DV", each.participant),
                "DVTERM": str(each.found) or str(each.kind),
                "DVDECOD": str(each.kind),
                "DVCAT": "MAJOR" if each.major else "MINOR" if each.major is False else None,
                "DVSCAT": "RECORDED BY SITE" if each.source == "site" else "DERIVED FROM DATA",
                "DVSTDTC": when,
                "DVSTDY": study_day(day),
            }
        )
    numbered(rows, "DVSEQ")
    variables = (
        *KEYS,
        Variable("DVSEQ", "Sequence Number", Kind.WHOLE, "Derived"),
        Variable("DVTERM", "Protocol Deviation Term"),
        Variable("DVDECOD", "Protocol Deviation Coded Term", origin="Assigned"),
        Variable("DVCAT", "Category for Protocol Deviation"),
        Variable("DVSCAT", "Subcategory for Protocol Deviation", origin="Assigned"),
        Variable("DVSTDTC", "Start Date/Time of Deviation"),
        Variable("DVSTDY", "Study Day of Start of Deviation", Kind.WHOLE, "Derived"),
    )
    return Dataset(
        "DV",
        "Protocol Deviations",
        "SDTM",
        "EVENTS",
        "One record per protocol deviation per subject",
        ("STUDYID", "USUBJID", "DVSTDTC", "DVTERM"),
        variables,
        rows,
    )
