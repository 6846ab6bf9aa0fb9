"""Build a `ClinicalVisit` from the checked values of one visit: CRP in mg/L, checkboxes, NSAIDs.

Contents: `clinical_visit`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sparcc_pipeline.app.trial_data.read.cells import is_missing
from sparcc_pipeline.app.trial_data.read.crp import crp_of_visit
from sparcc_pipeline.app.trial_data.read.field_table import NSAID_SLOTS
from sparcc_pipeline.app.trial_data.read.queries import CheckedRow, Queries
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial import instruments as ins
from sparcc_pipeline.trial.crp import BelowDetectionRule
from sparcc_pipeline.trial.instruments import AsdasForm
from sparcc_pipeline.trial.nsaid import NSAID_EQUIVALENT_MG, NsaidIntake
from sparcc_pipeline.trial.records import ClinicalVisit, QueryKind

CHINESE_DRUGS: Final[Mapping[str, str]] = {
    "双氯芬酸": "diclofenac",
    "双氯芬酸钠": "diclofenac",
    "萘普生": "naproxen",
    "醋氯芬酸": "aceclofenac",
    "塞来昔布": "celecoxib",
    "依托度酸": "etodolac",
    "依托考昔": "etoricoxib",
    "氟比洛芬": "flurbiprofen",
    "布洛芬": "ibuprofen",
    "吲哚美辛": "indometacin",
    "酮洛芬": "ketoprofen",
    "美洛昔康": "meloxicam",
    "保泰松": "phenylbutazone",
    "吡罗昔康": "piroxicam",
    "替诺昔康": "tenoxicam",
}
"""Chinese names of the drugs that have an equivalent dose."""

_CHECKBOX: Final = re.compile(r"___\d+$")
_REDCAP_COMPLETE: Final = "2"


@dataclass(frozen=True)
class _Answers:
    """The values of one visit, the row that each came from, and the queries about them."""

    visit: str
    values: Mapping[str, Any]
    rows: Mapping[str, CheckedRow]
    queries: Queries

    def ask(
        self,
        kind: QueryKind,
        field: str,
        expected: Message,
        found: Message,
        remedy: Message,
        *,
        row: CheckedRow | None = None,
        left_out: str = "value",
    ) -> None:
        """Add a query about a field; `row` where the field has no row of its own."""
        row = self.rows[field] if row is None else row
        self.queries.ask(kind, row, field, expected, found, remedy, left_out=left_out, visit=self.visit)


def clinical_visit(
    participant: str,
    visit: str,
    day: int | None,
    values: Mapping[str, Any],
    rows: Mapping[str, CheckedRow],
    queries: Queries,
    rule: BelowDetectionRule,
) -> ClinicalVisit:
    """Return one visit from its checked values.

    Parameters
    ----------
    rows : the row that each value came from
    rule : the protocol's rule for a CRP below detection
    """
    answers = _Answers(visit, values, rows, queries)
    nsaids, period = _nsaids(answers)
    form = _form(answers)
    crp = crp_of_visit(values, rule, answers.ask)
    return ClinicalVisit(
        participant=participant,
        visit=visit,
        day=day,
        basdai=_numbers("basdai", ins.BASDAI_ITEMS, values),
        patient_global=values.get("patient_global"),
        crp_mg_l=crp.mg_l,
        crp_limit_mg_l=crp.limit_mg_l,
        esr_mm_h=values.get("esr_mm_h"),
        asdas_form=form,
        basfi=_numbers("basfi", ins.BASFI_ITEMS, values),
        asas_hi=_boxes("asas_hi", ins.ASAS_HI_ITEMS, answers),
        asqol=_boxes("asqol", ins.ASQOL_ITEMS, answers),
        nsaids=nsaids,
        nsaid_period_days=period,
        rescue=values.get("rescue"),
        drug_ended=values.get("drug_ended"),
    )


def _numbers(name: str, count: int, values: Mapping[str, Any]) -> tuple[float | None, ...]:
    return tuple(None if (v := values.get(f"{name}_{n}")) is None else float(v) for n in range(1, count + 1))


def _form(answers: _Answers) -> AsdasForm | None:
    if "asdas_form" not in answers.values:
        return None
    word = str(answers.values["asdas_form"]).casefold().removeprefix("asdas").strip(" -_")
    if word not in [form.value for form in AsdasForm]:
        expected, found, remedy = Message("crp or esr"), Message("another word"), Message("write crp or esr")
        answers.ask(QueryKind.NOT_ALLOWED, "asdas_form", expected, found, remedy)
        return None
    return AsdasForm(word)


def _boxes(name: str, count: int, answers: _Answers) -> tuple[float | None, ...]:
    """Return yes/no items. In REDCap, empty boxes mean either "no" everywhere or a form that was never filled in."""
    found = _numbers(name, count, answers.values)
    first = answers.rows.get(f"{name}_1")
    if first is None or _CHECKBOX.search(first.columns[f"{name}_1"]) is None or any(found):
        return found
    complete = next((v for column, v in first.raw.items() if column.casefold() == f"{name}_complete"), None)
    if not is_missing(complete) and str(complete).removesuffix(".0") == _REDCAP_COMPLETE:
        return found
    answers.ask(
        QueryKind.MISSING,
        f"{name}_1",
        Message("at least one box, or a form that is complete"),
        Message("{count} empty boxes", count=count),
        Message("set {name}_complete to 2 if every answer is no, else leave the boxes empty", name=name),
    )
    return (None,) * count


def _nsaids(answers: _Answers) -> tuple[tuple[NsaidIntake, ...] | None, float | None]:
    """Return the drugs taken, or None if they are unknown, and the period."""
    taken, period = answers.values.get("nsaid_taken"), answers.values.get("nsaid_period_days")
    intakes = _intakes(period, answers)
    if intakes is None:
        return None, period
    if taken is False and intakes:
        expected, remedy = Message("yes where drugs are listed"), Message("correct it or remove the drugs")
        answers.ask(QueryKind.NOT_ALLOWED, "nsaid_taken", expected, Message("no"), remedy)
        return None, period
    if taken and not intakes:
        answers.ask(
            QueryKind.MISSING,
            "nsaid_1_drug",
            Message("at least one drug where NSAIDs were taken"),
            Message("none"),
            Message("fill in drug, dose and days"),
            row=answers.rows["nsaid_taken"],
        )
    if intakes:
        return intakes, period
    return (() if taken is False else None), period


def _intakes(period: float | None, answers: _Answers) -> tuple[NsaidIntake, ...] | None:
    """Return drug, dose and days of each slot that is filled in; None, with a query, if one cannot be used."""
    intakes = []
    for n in range(1, NSAID_SLOTS + 1):
        if any(name in answers.values for name in _slot(n)):
            intake = _intake(_slot(n), period, answers)
            if intake is None:
                return None
            intakes.append(intake)
    return tuple(intakes)


def _slot(n: int) -> tuple[str, str, str]:
    return f"nsaid_{n}_drug", f"nsaid_{n}_dose_mg", f"nsaid_{n}_days"


def _intake(slot: tuple[str, str, str], period: float | None, answers: _Answers) -> NsaidIntake | None:
    """Return drug, dose and days of one slot; None, with a query, if they cannot be used."""
    values = answers.values
    row = next(answers.rows[name] for name in slot if name in values)
    lacking = next((name for name in slot if name not in values), None)
    if lacking is not None:
        expected, found = Message("drug, dose and days together"), Message("one of them missing")
        answers.ask(QueryKind.MISSING, lacking, expected, found, Message("fill it in"), row=row)
        return None
    name, dose_mg, days = (values[field] for field in slot)
    drug = CHINESE_DRUGS.get(str(name).strip(), str(name).strip().casefold())
    drug = "indometacin" if drug == "indomethacin" else drug
    if drug not in NSAID_EQUIVALENT_MG:
        answers.ask(
            QueryKind.NOT_ALLOWED,
            slot[0],
            Message("a drug of the list of Dougados 2011"),
            Message("another drug"),
            Message("correct its name; a drug outside the list has no equivalent dose and no index"),
            row=row,
            left_out="nothing",
        )
    if period is not None and days > period:
        expected = Message("at most the {period:g} days of the period", period=period)
        found, remedy = Message("{days:g} days", days=days), Message("correct the days or the period")
        answers.ask(QueryKind.IMPLAUSIBLE, slot[2], expected, found, remedy, row=row)
        return None
    return NsaidIntake(drug, float(dose_mg), float(days))
