"""CRP, forms of ASDAS, checkboxes and NSAIDs of a visit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.trial.instruments import AsdasForm, asas_hi
from sparcc_pipeline.trial.nsaid import NsaidIntake
from sparcc_pipeline.trial.records import QueryKind

from ..conftest import visit_row
from .clinical_files import only, read_rows, redcap_row, visit_of


def test_crp_in_mg_dl_is_converted_and_contradicting_units_do_not_count(tmp_path: Path) -> None:
    def with_dl(name: str, **more: Any) -> dict[str, Any]:
        return {**visit_row(name), "crp_mg_l": "", "crp_mg_dl": 1.25, **more}

    clinical, queries = read_rows(
        tmp_path, with_dl("P001"), with_dl("P002", crp_mg_l=12.5), with_dl("P003", crp_mg_l=1.25)
    )

    assert [v.crp_mg_l for v in clinical.visits] == [12.5, 12.5, None]
    assert (only(queries).kind, only(queries).row, only(queries).column) == (QueryKind.IMPLAUSIBLE, 4, "crp_mg_dl")


def test_a_column_of_crp_in_the_wrong_unit_is_found(tmp_path: Path) -> None:
    many = [visit_row(f"P{n:03}") for n in range(12)]
    in_dl = [{**{k: v for k, v in row.items() if k != "crp_mg_l"}, "crp_mg_dl": 5 + n} for n, row in enumerate(many)]
    clinical, queries = read_rows(tmp_path, *in_dl)

    assert (only(queries).kind, only(queries).column) == (QueryKind.IMPLAUSIBLE, "crp_mg_dl")
    assert "rename the column to crp_mg_l" in only(queries).message
    assert {v.crp_mg_l for v in clinical.visits} == {None}

    clinical, queries = read_rows(tmp_path, *({**row, "crp_mg_l": 0.5 + n / 10} for n, row in enumerate(many)))
    assert "rename the column to crp_mg_dl" in only(queries).message
    assert clinical.visits[0].crp_mg_l == 0.5


def test_mixed_forms_of_asdas_within_a_participant(tmp_path: Path) -> None:
    _, queries = read_rows(tmp_path, visit_row(), visit_row(week=12, crp_mg_l=""), visit_row(week=24, asdas_form="ESR"))

    assert [(q.kind, q.row, q.column) for q in queries] == [
        (QueryKind.MIXED_FORMS, 3, "esr_mm_h"),
        (QueryKind.MIXED_FORMS, 4, "asdas_form"),
    ]
    assert "ASDAS-ESR never stands in for ASDAS-CRP" in queries[0].message


def test_the_form_that_the_site_uses_is_kept(tmp_path: Path) -> None:
    clinical, queries = read_rows(tmp_path, visit_row(asdas_form="ASDAS-CRP"))

    assert queries == []
    assert visit_of(clinical).asdas_form is AsdasForm.CRP


def test_a_redcap_export_is_read(tmp_path: Path) -> None:
    clinical, queries = read_rows(tmp_path, redcap_row(0, 4, 2), redcap_row(12, 0, 2))

    assert queries == []
    assert clinical.participants[0].site == "S1"
    assert [asas_hi(v.asas_hi).value for v in clinical.visits] == [4, 0]


def test_empty_checkboxes_of_a_form_that_is_not_complete_are_missing_and_never_no(tmp_path: Path) -> None:
    clinical, queries = read_rows(tmp_path, redcap_row(0, 4, 2), redcap_row(12, 0, 0))

    assert (only(queries).kind, only(queries).row, only(queries).column) == (QueryKind.MISSING, 3, "asas_hi___1")
    assert "set asas_hi_complete to 2" in only(queries).message
    assert visit_of(clinical, "W12").asas_hi == (None,) * 17


def _nsaid(**more: Any) -> dict[str, Any]:
    drug = {"nsaid_1_drug": "Celecoxib", "nsaid_1_dose_mg": 200, "nsaid_1_days": 14}
    return visit_row(**{"nsaid_taken": 1, **drug, **more})


def test_nsaids_are_read_by_english_and_chinese_names(tmp_path: Path) -> None:
    more = {"nsaid_2_drug": "双氯芬酸", "nsaid_2_dose_mg": 75, "nsaid_2_days": 28}
    clinical, queries = read_rows(tmp_path, _nsaid(**more))

    assert queries == []
    assert visit_of(clinical).nsaids == (NsaidIntake("celecoxib", 200, 14), NsaidIntake("diclofenac", 75, 28))


@pytest.mark.parametrize(
    ("change", "column", "sentence", "known"),
    [
        ({"nsaid_1_days": 40}, "nsaid_1_days", "at most the 28 days", False),
        ({"nsaid_1_dose_mg": ""}, "nsaid_1_dose_mg", "drug, dose and days together", False),
        (
            {"nsaid_1_drug": "", "nsaid_1_dose_mg": "", "nsaid_1_days": ""},
            "nsaid_1_drug",
            "fill in drug, dose and days",
            False,
        ),
        ({"nsaid_taken": 0}, "nsaid_taken", "yes where drugs are listed", False),
        ({"nsaid_1_drug": "aspirin"}, "nsaid_1_drug", "no equivalent dose and no index", True),
    ],
)
def test_nsaids_that_cannot_be_right(
    tmp_path: Path, change: dict[str, Any], column: str, sentence: str, known: bool
) -> None:
    clinical, queries = read_rows(tmp_path, _nsaid(**change))

    assert only(queries).column == column
    assert sentence in only(queries).message
    assert (visit_of(clinical).nsaids is not None) == known


def test_missing_answers_about_nsaids_do_not_mean_none_taken(tmp_path: Path) -> None:
    assert visit_of(read_rows(tmp_path, visit_row(nsaid_taken=""))[0]).nsaids is None
