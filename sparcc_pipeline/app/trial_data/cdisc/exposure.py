"""The SDTM dataset EX, of an unblinded export only: one row for each time on one dose. Source: [Sdtm].

Contents: `exposure`. The end of a dose is the day before the next one, or the last visit: the data have no day of the
last tablet, so nothing else is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Final

from sparcc_pipeline.app.trial_data.cdisc.dataset import KEYS, Dataset, Kind, Variable, numbered
from sparcc_pipeline.app.trial_data.cdisc.source import ArmFacts, ExportData
from sparcc_pipeline.app.trial_data.columns import study_day
from sparcc_pipeline.trial.doses import recorded_doses
from sparcc_pipeline.trial.schedule import taper_steps

TREATMENT: Final = "UPADACITINIB"

_FREQUENCIES: Final = (
    (re.compile(r"(\d+) mg daily"), "QD"),
    (re.compile(r"(\d+) mg every (?:other day|two days)"), "QOD"),
    (re.compile(r"(\d+) mg, with two days between doses"), "Q3D"),
)
"""Doses of the protocol as amount and frequency."""


def exposure(data: ExportData) -> Dataset:
    """Return EX from the recorded dose steps.

    Raises
    ------
    ConfigError : the protocol leaves a dose unset
    """
    rows = [row for person in data.participants for row in _rows(data, person.participant)]
    numbered(rows, "EXSEQ")
    variables = (
        *KEYS,
        Variable("EXSEQ", "Sequence Number", Kind.WHOLE, "Derived"),
        Variable("EXTRT", "Name of Treatment", origin="Protocol"),
        Variable("EXDOSE", "Dose", Kind.NUMBER, "Protocol"),
        Variable("EXDOSTXT", "Dose Description", origin="Protocol"),
        Variable("EXDOSU", "Dose Units", origin="Protocol"),
        Variable("EXDOSFRQ", "Dosing Frequency per Interval", origin="Protocol"),
        Variable("EXSTDTC", "Start Date/Time of Treatment"),
        Variable("EXENDTC", "End Date/Time of Treatment", origin="Derived", comment="day before the next dose"),
        Variable("EXSTDY", "Study Day of Start of Treatment", Kind.WHOLE, "Derived"),
        Variable("EXENDY", "Study Day of End of Treatment", Kind.WHOLE, "Derived"),
    )
    return Dataset(
        "EX",
        "Exposure",
        "SDTM",
        "INTERVENTIONS",
        "One record per constant dose per subject",
        ("STUDYID", "USUBJID", "EXSTDTC"),
        variables,
        rows,
    )


def _rows(data: ExportData, participant: str) -> Iterator[dict[str, Any]]:
    arms = data.arms or ArmFacts({}, {})
    doses, texts = recorded_doses(participant, arms.steps, data.protocol), taper_steps(data.protocol)
    begun = [dose for k, dose in enumerate(doses) if k == 0 or dose.step != doses[k - 1].step]
    dated = [(dose, data.date(participant, dose.planned.visit)) for dose in begun]
    known = [(dose, date.fromisoformat(day)) for dose, day in dated if day is not None]
    end = data.end(participant)
    last = None if end is None else date.fromisoformat(end)
    ends = [later - timedelta(days=1) for (_, _), (_, later) in pairwise(known)]
    start = data.start(participant)
    for (dose, first), until in zip(known, [*ends, last][: len(known)], strict=True):
        row = {**data.key("EX", participant), "EXTRT": TREATMENT, **_dose(texts[dose.step].dose)}
        row |= {"EXSTDTC": first.isoformat(), "EXENDTC": until and until.isoformat()}
        if start is not None:
            zero = date.fromisoformat(start)
            row |= {"EXSTDY": study_day((first - zero).days), "EXENDY": until and study_day((until - zero).days)}
        yield row


def _dose(text: str) -> dict[str, Any]:
    for pattern, frequency in _FREQUENCIES:
        if found := pattern.fullmatch(text):
            return {"EXDOSE": float(found[1]), "EXDOSU": "mg", "EXDOSFRQ": frequency}
    return {"EXDOSTXT": text}
