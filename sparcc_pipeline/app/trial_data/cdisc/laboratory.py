"""The SDTM dataset LB: values at entry, CRP and ESR of each visit, and the laboratory follow-up. Source: [Sdtm].

Contents: `laboratory`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sparcc_pipeline.app.trial_data.cdisc.dataset import KEYS, VISIT, Dataset, Kind, Variable, numbered
from sparcc_pipeline.app.trial_data.cdisc.source import ExportData
from sparcc_pipeline.trial.monitoring.safety_records import LaboratoryValue
from sparcc_pipeline.trial.records import ClinicalVisit, Participant

_TESTS: Final = {
    "alt": ("ALT", "Alanine Aminotransferase"),
    "ast": ("AST", "Aspartate Aminotransferase"),
    "bilirubin": ("BILI", "Bilirubin"),
    "creatinine": ("CREAT", "Creatinine"),
    "creatine_kinase": ("CK", "Creatine Kinase"),
    "egfr": ("GFRE", "Glomerular Filtration Rate, Estimated"),
    "haemoglobin": ("HGB", "Hemoglobin"),
    "neutrophils": ("NEUT", "Neutrophils"),
    "lymphocytes": ("LYM", "Lymphocytes"),
    "platelets": ("PLAT", "Platelets"),
    "total_cholesterol": ("CHOL", "Cholesterol"),
    "ldl_cholesterol": ("LDL", "LDL Cholesterol"),
    "hdl_cholesterol": ("HDL", "HDL Cholesterol"),
    "triglycerides": ("TRIG", "Triglycerides"),
    "crp": ("CRP", "C Reactive Protein"),
    "esr": ("ESR", "Erythrocyte Sedimentation Rate"),
}
"""Test code and name of each test, in the controlled terminology."""

_AT_ENTRY: Final = (
    ("alt", "alt_u_l", "alt_uln_u_l", "U/L"),
    ("ast", "ast_u_l", "ast_uln_u_l", "U/L"),
    ("bilirubin", "bilirubin_umol_l", "bilirubin_uln_umol_l", "umol/L"),
    ("egfr", "egfr_ml_min", None, "mL/min"),
    ("haemoglobin", "haemoglobin_g_l", None, "g/L"),
    ("neutrophils", "neutrophils_1e9_l", None, "10^9/L"),
    ("platelets", "platelets_1e9_l", None, "10^9/L"),
    ("lymphocytes", "lymphocytes_1e9_l", None, "10^9/L"),
)
"""Test, column of its value and of its upper limit in the table of participants, and unit."""


def laboratory(data: ExportData) -> Dataset:
    """Return LB; a test of the follow-up at the baseline takes the place of the value at entry."""
    baseline = data.protocol.baseline.visit
    followed = {(each.participant, each.test) for each in data.safety.laboratory if each.visit == baseline}
    rows: list[dict[str, Any]] = []
    for person in data.participants:
        entry = (each for each in _at_entry(person, baseline) if (each.participant, each.test) not in followed)
        rows += [_row(data, each) for each in entry]
    for visit in data.loaded.data.visits:
        rows += [_row(data, each) | text for each, text in _of_visit(visit)]
    rows += [_row(data, each) for each in data.safety.laboratory]
    numbered(rows, "LBSEQ")
    variables = (
        *KEYS,
        Variable("LBSEQ", "Sequence Number", Kind.WHOLE, "Derived"),
        Variable("LBTESTCD", "Lab Test or Examination Short Name", origin="Assigned"),
        Variable("LBTEST", "Lab Test or Examination Name", origin="Assigned"),
        Variable("LBORRES", "Result or Finding in Original Units", comment="below detection: < and the limit"),
        Variable("LBORRESU", "Original Units"),
        Variable("LBORNRLO", "Reference Range Lower Limit in Orig Unit"),
        Variable("LBORNRHI", "Reference Range Upper Limit in Orig Unit"),
        Variable("LBSTRESC", "Character Result/Finding in Std Format", origin="Assigned"),
        Variable("LBSTRESN", "Numeric Result/Finding in Standard Units", Kind.NUMBER, "Assigned"),
        Variable("LBSTRESU", "Standard Units", origin="Assigned"),
        Variable("LBNRIND", "Reference Range Indicator", origin="Derived"),
        Variable("LBTOXGR", "Standard Toxicity Grade", comment="CTCAE grade as the site gives it, never derived"),
        Variable("LBLOBXFL", "Last Observation Before Exposure Flag", origin="Derived"),
        *VISIT,
        Variable("LBDTC", "Date/Time of Specimen Collection"),
        Variable("LBDY", "Study Day of Specimen Collection", Kind.WHOLE, "Derived"),
    )
    return Dataset(
        "LB",
        "Laboratory Test Results",
        "SDTM",
        "FINDINGS",
        "One record per lab test per visit per subject",
        ("STUDYID", "USUBJID", "LBTESTCD", "VISITNUM"),
        variables,
        rows,
    )


def _at_entry(person: Participant, baseline: str) -> Iterator[LaboratoryValue]:
    for test, column, limit, unit in _AT_ENTRY:
        value = getattr(person.screening, column)
        if value is not None:
            upper = None if limit is None else getattr(person.screening, limit)
            yield LaboratoryValue(person.participant, baseline, test, value, unit, None, upper)


def _of_visit(visit: ClinicalVisit) -> Iterator[tuple[LaboratoryValue, dict[str, Any]]]:
    """Return CRP and ESR; a CRP below detection keeps its sign and has no number."""
    key = (visit.participant, visit.visit)
    if visit.crp_limit_mg_l is not None:
        text = f"<{visit.crp_limit_mg_l:g}"
        below = {"LBORRES": text, "LBSTRESC": text, "LBSTRESN": None}
        yield LaboratoryValue(*key, "crp", visit.crp_limit_mg_l, "mg/L"), below
    elif visit.crp_mg_l is not None:
        yield LaboratoryValue(*key, "crp", visit.crp_mg_l, "mg/L"), {}
    if visit.esr_mm_h is not None:
        yield LaboratoryValue(*key, "esr", visit.esr_mm_h, "mm/h"), {}


def _row(data: ExportData, each: LaboratoryValue) -> dict[str, Any]:
    code, name = _TESTS[each.test]
    value = f"{each.value:g}"
    return {
        **data.key("LB", each.participant),
        "LBTESTCD": code,
        "LBTEST": name,
        "LBORRES": value,
        "LBORRESU": each.unit,
        "LBORNRLO": None if each.lower is None else f"{each.lower:g}",
        "LBORNRHI": None if each.upper is None else f"{each.upper:g}",
        "LBSTRESC": value,
        "LBSTRESN": each.value,
        "LBSTRESU": each.unit,
        "LBNRIND": None if each.side is None else {-1: "LOW", 0: "NORMAL", 1: "HIGH"}[each.side],
        "LBTOXGR": None if each.grade is None else str(each.grade),
        "LBLOBXFL": "Y" if each.visit == data.protocol.baseline.visit else None,
        "VISITNUM": data.number(each.visit),
        "VISIT": each.visit,
        "LBDTC": data.date(each.participant, each.visit),
        "LBDY": data.day(each.participant, each.visit),
    }
