"""A header's unit is part of its meaning: an unknown unit, a percent sign or a ratio is refused, never dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparcc_pipeline.app.trial_data.read.dictionary import field_of_column
from sparcc_pipeline.app.trial_data.read.field_table import CLINICAL
from sparcc_pipeline.trial.records import QueryKind

from ..conftest import participant_row, write_csv
from .clinical_files import only, read


@pytest.mark.parametrize(
    "column",
    [
        *("中性粒细胞%", "中性粒细胞(%)", "中性粒细胞（％）", "中性粒细胞 %", "NEUT%", "neutrophils_1e9_l %"),
        *("ALT/ULN", "ALT×ULN", "ALT (xULN)", "ALT(μkat/L)", "血红蛋白(g/dL)", "血红蛋白 g%", "年龄(月)"),
        *("总胆红素(mg/dL)", "血小板(/μL)", "血小板 10^4/uL", "ESR(mm/2h)", "BASDAI第1题%", "Δ血沉", "血沉<"),
        *("CRP(mg/L)%", "CRP(nmol/L)", "eGFR%"),
    ],
)
def test_a_header_with_another_unit_is_not_a_column(column: str) -> None:
    assert field_of_column(column, *CLINICAL) is None


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("中性粒细胞", "neutrophils_1e9_l"),
        ("中性粒细胞#", "neutrophils_1e9_l"),
        ("中性粒细胞(10^9/L)", "neutrophils_1e9_l"),
        ("中性粒细胞计数（×10⁹/L）", "neutrophils_1e9_l"),
        ("血小板*", "platelets_1e9_l"),
        ("血小板 10*9/L", "platelets_1e9_l"),
        ("ALT (U/L)", "alt_u_l"),
        ("ALT（IU/L）", "alt_u_l"),
        ("总胆红素[µmol/L]", "bilirubin_umol_l"),
        ("血红蛋白(g/L)", "haemoglobin_g_l"),
        ("haemoglobin_g_l", "haemoglobin_g_l"),
        ("eGFR (mL/min/1.73m²)", "egfr_ml_min"),
        ("血沉(mm/h)", "esr_mm_h"),
        ("ESR (mm/h)", "esr_mm_h"),
        ("CRP(mg/L)", "crp_mg_l"),
        ("CRP (mg/dL)", "crp_mg_dl"),
        ("年龄（岁）", "age_years"),
        ("NSAID日剂量1 (mg)", "nsaid_1_dose_mg"),
    ],
)
def test_a_header_with_its_own_unit_is_its_column(column: str, name: str) -> None:
    found = field_of_column(column, *CLINICAL)

    assert found is not None and found.name == name


def test_a_percentage_of_neutrophils_is_asked_about_and_not_read(tmp_path: Path) -> None:
    row = {key: value for key, value in participant_row().items() if key != "neutrophils_1e9_l"}
    clinical, queries = read(write_csv(tmp_path / "people.csv", [{**row, "中性粒细胞%": 62}]))
    query = only(queries)

    assert (query.kind, query.column) == (QueryKind.UNKNOWN_COLUMN, "中性粒细胞%")
    assert "expected neutrophils_1e9_l in 10^9/L" in query.message
    assert clinical.participants[0].screening.neutrophils_1e9_l is None


def test_a_percentage_under_the_plain_name_is_out_of_range(tmp_path: Path) -> None:
    row = {key: value for key, value in participant_row().items() if key != "neutrophils_1e9_l"}
    clinical, queries = read(write_csv(tmp_path / "people.csv", [{**row, "中性粒细胞": 62}]))

    assert only(queries).kind is QueryKind.OUT_OF_RANGE
    assert clinical.participants[0].screening.neutrophils_1e9_l is None
