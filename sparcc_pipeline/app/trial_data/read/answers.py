"""The checked values of one visit become a `ClinicalVisit`: CRP in mg/L, checkboxes, NSAIDs.

There: `clinical_visit`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from sparcc_pipeline.app.trial_data.read.cells import is_missing
from sparcc_pipeline.app.trial_data.read.fields import NSAID_SLOTS
from sparcc_pipeline.app.trial_data.read.rows import CheckedRow, Queries
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial import instruments as ins
from sparcc_pipeline.trial.instruments import AsdasForm, CrpUnit
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


def clinical_visit(
    participant: str,
    visit: str,
    day: int | None,
    values: Mapping[str, Any],
    rows: Mapping[str, CheckedRow],
    queries: Queries,
) -> ClinicalVisit:
    """One visit from its checked values; `rows` says which row each came from."""
    nsaids, period = _nsaids(values, rows, queries, visit)
    form = _form(values, rows, queries, visit)
    return ClinicalVisit(
        participant=participant,
        visit=visit,
        day=day,
        basdai=_numbers("basdai", ins.BASDAI_ITEMS, values),
        patient_global=values.get("patient_global"),
        crp_mg_l=_crp(values, rows, queries, visit),
        esr_mm_h=values.get("esr_mm_h"),
        asdas_form=form,
        basfi=_numbers("basfi", ins.BASFI_ITEMS, values),
        asas_hi=_boxes("asas_hi", ins.ASAS_HI_ITEMS, values, rows, queries, visit),
        asqol=_boxes("asqol", ins.ASQOL_ITEMS, values, rows, queries, visit),
        nsaids=nsaids,
        nsaid_period_days=period,
        rescue=values.get("rescue"),
    )


def _numbers(name: str, count: int, values: Mapping[str, Any]) -> tuple[float | None, ...]:
    return tuple(None if (v := values.get(f"{name}_{n}")) is None else float(v) for n in range(1, count + 1))


def _crp(values: Mapping[str, Any], rows: Mapping[str, CheckedRow], queries: Queries, visit: str) -> float | None:
    """CRP in mg/L; where both units are given and disagree, neither counts."""
    given = {
        name: ins.crp_in_mg_l(values[name], unit)
        for name, unit in (("crp_mg_l", CrpUnit.MG_L), ("crp_mg_dl", CrpUnit.MG_DL))
        if name in values
    }
    if len(given) == 2 and abs(given["crp_mg_l"] - given["crp_mg_dl"]) > 0.05 * max(given.values()):
        queries.ask(
            QueryKind.IMPLAUSIBLE,
            rows["crp_mg_dl"],
            "crp_mg_dl",
            Message("a tenth of the value in mg/L"),
            Message("{mg_dl:g} mg/dL beside {mg_l:g} mg/L", mg_dl=values["crp_mg_dl"], mg_l=values["crp_mg_l"]),
            Message("keep the one that the laboratory gave"),
            visit=visit,
        )
        return None
    return next(iter(given.values()), None)


def _form(values: Mapping[str, Any], rows: Mapping[str, CheckedRow], queries: Queries, visit: str) -> AsdasForm | None:
    if "asdas_form" not in values:
        return None
    word = str(values["asdas_form"]).casefold().removeprefix("asdas").strip(" -_")
    if word not in [form.value for form in AsdasForm]:
        queries.ask(
            QueryKind.NOT_ALLOWED,
            rows["asdas_form"],
            "asdas_form",
            Message("crp or esr"),
            Message("another word"),
            Message("write crp or esr"),
            visit=visit,
        )
        return None
    return AsdasForm(word)


def _boxes(
    name: str, count: int, values: Mapping[str, Any], rows: Mapping[str, CheckedRow], queries: Queries, visit: str
) -> tuple[float | None, ...]:
    """Yes/no items. REDCap's checkboxes are all empty both for "no" everywhere and for a form never filled in."""
    answers = _numbers(name, count, values)
    first = rows.get(f"{name}_1")
    if first is None or _CHECKBOX.search(first.columns[f"{name}_1"]) is None or any(answers):
        return answers
    complete = next((v for column, v in first.raw.items() if column.casefold() == f"{name}_complete"), None)
    if not is_missing(complete) and str(complete).removesuffix(".0") == _REDCAP_COMPLETE:
        return answers
    queries.ask(
        QueryKind.MISSING,
        first,
        f"{name}_1",
        Message("at least one box, or a form that is complete"),
        Message("{count} empty boxes", count=count),
        Message("set {name}_complete to 2 if every answer is no, else leave the boxes empty", name=name),
        visit=visit,
    )
    return (None,) * count


def _nsaids(
    values: Mapping[str, Any], rows: Mapping[str, CheckedRow], queries: Queries, visit: str
) -> tuple[tuple[NsaidIntake, ...] | None, float | None]:
    """What was taken, None where that is not known, and the period."""
    taken, period = values.get("nsaid_taken"), values.get("nsaid_period_days")
    intakes = _intakes(period, values, rows, queries, visit)
    if intakes is None:
        return None, period
    if taken is False and intakes:
        queries.ask(
            QueryKind.NOT_ALLOWED,
            rows["nsaid_taken"],
            "nsaid_taken",
            Message("yes where drugs are listed"),
            Message("no"),
            Message("correct it or remove the drugs"),
            visit=visit,
        )
        return None, period
    if taken and not intakes:
        queries.ask(
            QueryKind.MISSING,
            rows["nsaid_taken"],
            "nsaid_1_drug",
            Message("at least one drug where NSAIDs were taken"),
            Message("none"),
            Message("fill in drug, dose and days"),
            visit=visit,
        )
    if intakes:
        return intakes, period
    return (() if taken is False else None), period


def _intakes(
    period: float | None, values: Mapping[str, Any], rows: Mapping[str, CheckedRow], queries: Queries, visit: str
) -> tuple[NsaidIntake, ...] | None:
    """Drug, dose and days of each slot that is filled in; None, with a query, where one cannot be used."""
    intakes = []
    for n in range(1, NSAID_SLOTS + 1):
        names = [f"nsaid_{n}_{part}" for part in ("drug", "dose_mg", "days")]
        given = [name for name in names if name in values]
        if not given:
            continue
        row = rows[given[0]]
        lacking = next((name for name in names if name not in values), None)
        if lacking is not None:
            queries.ask(
                QueryKind.MISSING,
                row,
                lacking,
                Message("drug, dose and days together"),
                Message("one of them missing"),
                Message("fill it in"),
                visit=visit,
            )
            return None
        drug = str(values[names[0]]).strip()
        drug = CHINESE_DRUGS.get(drug, drug.casefold())
        drug = "indometacin" if drug == "indomethacin" else drug
        if drug not in NSAID_EQUIVALENT_MG:
            queries.ask(
                QueryKind.NOT_ALLOWED,
                row,
                names[0],
                Message("a drug of the list of Dougados 2011"),
                Message("another drug"),
                Message("correct its name; outside the list there is no equivalent dose and no index"),
                left_out="nothing",
                visit=visit,
            )
        if period is not None and values[names[2]] > period:
            queries.ask(
                QueryKind.IMPLAUSIBLE,
                row,
                names[2],
                Message("at most the {period:g} days of the period", period=period),
                Message("{days:g} days", days=values[names[2]]),
                Message("correct the days or the period"),
                visit=visit,
            )
            return None
        intakes.append(NsaidIntake(drug, float(values[names[1]]), float(values[names[2]])))
    return tuple(intakes)
