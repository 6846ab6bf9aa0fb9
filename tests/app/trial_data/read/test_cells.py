"""Single cells of clinical tables: a fault names row, column and remedy, and the rest of the row counts."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparcc_pipeline.app.report.language import language
from sparcc_pipeline.app.results.table_reader import RawRow, RawTable
from sparcc_pipeline.app.trial_data.read.cells import is_missing
from sparcc_pipeline.app.trial_data.read.dictionary import fields_of
from sparcc_pipeline.app.trial_data.read.field_table import CLINICAL
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.read.rows import checked_rows
from sparcc_pipeline.trial.records import QueryKind

from ..conftest import participant_row, visit_row, write_csv, write_excel
from .clinical_files import only, read, read_rows, visit_of

ONE_OF_EACH_KIND = {"visit_date", "basdai_1", "crp_mg_l", "asas_hi_1", "site", "nsaid_1_drug", "age_years", "rescue"}


COLUMNS = tuple(each for each in fields_of(*CLINICAL) if each.name in ONE_OF_EACH_KIND)


FAULTS: list[tuple[str, dict[str, Any], QueryKind, str, str]] = [
    ("item out of range", {"basdai_2": 11}, QueryKind.OUT_OF_RANGE, "basdai_2", "found 11; correct the value"),
    ("negative item", {"basfi_3": -1}, QueryKind.OUT_OF_RANGE, "basfi_3", "0-10, found -1"),
    ("neither yes nor no", {"asqol_4": 2}, QueryKind.OUT_OF_RANGE, "asqol_4", "write 1 for yes and 0 for no"),
    ("implausible CRP", {"crp_mg_l": 1200}, QueryKind.OUT_OF_RANGE, "crp_mg_l", "check the unit (mg/L), correct"),
    ("text in a number column", {"esr_mm_h": "high"}, QueryKind.NOT_A_NUMBER, "esr_mm_h", "write digits only"),
    ("under the limit", {"crp_mg_l": "<5"}, QueryKind.MISSING, "crp_mg_l", "found a CRP below 5 mg/L; measure it"),
    ("over the limit", {"crp_mg_l": ">200"}, QueryKind.NOT_A_NUMBER, "crp_mg_l", "found >200; write the measured"),
    ("no limit of detection", {"esr_mm_h": "<2"}, QueryKind.NOT_A_NUMBER, "esr_mm_h", "found <2; write the measured"),
    ("decimal comma", {"patient_global": "3,5"}, QueryKind.NOT_A_NUMBER, "patient_global", "write a decimal point"),
    ("no number", {"esr_mm_h": "nan"}, QueryKind.OUT_OF_RANGE, "esr_mm_h", "0-200 mm/h"),
    ("excel serial", {"visit_date": "46083"}, QueryKind.NOT_A_DATE, "visit_date", "Excel's number of 2026-03-02"),
    ("ambiguous date", {"visit_date": "03/02/2026"}, QueryKind.NOT_A_DATE, "visit_date", "write YYYY-MM-DD"),
    ("no such day", {"visit_date": "2026-02-30"}, QueryKind.NOT_A_DATE, "visit_date", "write YYYY-MM-DD"),
    ("unknown form", {"asdas_form": "dsa"}, QueryKind.NOT_ALLOWED, "asdas_form", "write crp or esr"),
]


@pytest.mark.parametrize(("change", "kind", "column", "sentence"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_bad_cell_is_a_query_and_the_rest_counts(
    tmp_path: Path, change: dict[str, Any], kind: QueryKind, column: str, sentence: str
) -> None:
    clinical, queries = read_rows(tmp_path, visit_row("P002"), visit_row("P001", **change))
    query = only(queries)

    assert (query.kind, query.file, query.row, query.column) == (kind, "visits.csv", 3, column)
    assert (query.participant, query.visit, query.left_out) == ("P001", "W0", "value")
    assert f"visits.csv, row 3, column '{column}': expected" in query.message
    assert sentence in query.message
    assert re.search("[\u4e00-\u9fff]", language("zh").say(query.remedy))
    assert len(clinical.visits) == 2
    unspoilt = visit_of(clinical)
    assert unspoilt.basdai[0] == 5
    bad = {"basdai_2": unspoilt.basdai[1], "crp_mg_l": unspoilt.crp_mg_l, "esr_mm_h": unspoilt.esr_mm_h}
    assert bad.get(column) is None


def test_a_date_in_a_number_column_explains_the_spreadsheet(tmp_path: Path) -> None:
    file = write_excel(tmp_path / "visits.xlsx", [visit_row(basdai_3=datetime(2026, 3, 2))])
    query = only(read(file)[1])

    assert (query.kind, query.row, query.column) == (QueryKind.NOT_A_NUMBER, 2, "basdai_3")
    assert "format the column as number" in query.message


def test_excel_dates_and_typed_cells_are_read(tmp_path: Path) -> None:
    rows = [visit_row(visit_date=datetime(2026, 3, 2), participant="P001"), visit_row(week=12)]
    clinical, queries = read(write_excel(tmp_path / "visits.xlsx", rows))

    assert queries == []
    assert clinical.dates["P001", "W0"] == date(2026, 3, 2)
    assert [v.day for v in clinical.visits] == [0, 84]


def test_a_number_as_participant_in_excel_is_its_digits(tmp_path: Path) -> None:
    clinical, queries = read(write_excel(tmp_path / "visits.xlsx", [visit_row(participant=1001)]))

    assert queries == []
    assert clinical.participants[0].participant == "1001"


CHINESE = {
    "participant": "受试者编号",
    "visit": "访视",
    "visit_date": "访视日期",
    "patient_global": "患者总体评价",
    "crp_mg_l": "C反应蛋白（mg/L）",
    "esr_mm_h": "血沉",
    "nsaid_taken": "是否使用NSAID",
    "rescue": "补救治疗",
    **{f"basdai_{n}": f"BASDAI第{n}题" for n in range(1, 7)},
    **{f"asas_hi_{n}": f"ASAS-HI条目{n}" for n in range(1, 18)},
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_chinese_headers_dates_and_answers(tmp_path: Path, encoding: str) -> None:
    row = visit_row(
        visit="基线", visit_date="2026年3月2日", rescue="否", nsaid_taken="否", asas_hi_1="是", asas_hi_2="否"
    )
    later = visit_row(week=12, visit="第12周")
    rows = [{CHINESE.get(name, name): value for name, value in each.items()} for each in (row, later)]
    clinical, queries = read(write_csv(tmp_path / "随访.csv", rows, encoding))

    assert queries == []
    found = visit_of(clinical)
    assert (found.asas_hi[:2], found.rescue, found.nsaids, found.crp_mg_l) == ((1, 0), False, (), 12.5)
    assert visit_of(clinical, "W12").day == 84


def test_a_fault_under_a_chinese_header_names_that_header(tmp_path: Path) -> None:
    rows = [{CHINESE.get(name, name): value for name, value in visit_row(esr_mm_h=900).items()}]

    assert only(read(write_csv(tmp_path / "v.csv", rows))[1]).column == "血沉"


@pytest.mark.parametrize("name", ["李明", "Li Ming", "P 001", "x" * 40])
def test_what_might_be_a_name_is_refused_and_never_shown(tmp_path: Path, name: str) -> None:
    _, queries = read_rows(tmp_path, visit_row(), visit_row(name))
    query = only(queries)

    assert (query.row, query.column, query.left_out) == (3, "participant", "row")
    assert name not in query.message
    assert query.participant is None


def test_missing_words_are_missing(tmp_path: Path) -> None:
    clinical, queries = read_rows(tmp_path, visit_row(basdai_1="NA", esr_mm_h=".", crp_mg_l="n/a", basfi_1=" "))

    assert [(q.kind, q.row, q.column, q.left_out) for q in queries] == [
        (QueryKind.MISSING, 2, column, "nothing") for column in ("basdai_1", "basfi_1", "crp_mg_l")
    ]
    assert "expected all 6 items of BASDAI, found 1 missing: basdai_1; fill it in if it is known" in queries[0].message
    found = visit_of(clinical)
    assert (found.basdai[0], found.esr_mm_h, found.crp_mg_l, found.basfi[0]) == (None, None, None, None)


def test_a_site_may_have_a_chinese_name_and_a_date_a_time(tmp_path: Path) -> None:
    people = write_csv(tmp_path / "p.csv", [participant_row(site="新疆一院")])
    visits = write_csv(tmp_path / "v.csv", [visit_row(visit_date="2026-03-02 09:30")])
    clinical, queries = read(people, visits)

    assert queries == []
    assert clinical.participants[0].site == "新疆一院"
    assert visit_of(clinical).day == 0


ANY_CELL = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.floats(),
    st.integers(-(10**9), 10**9),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.sampled_from(["1e999", "１２", "=1+1", "#N/A", "-0", "NaN", "2026-13-01", "99999", "0x10", "1_0"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ANY_CELL, min_size=len(COLUMNS), max_size=len(COLUMNS)))
def test_any_cell_is_a_value_in_range_or_a_query(cells: list[Any]) -> None:
    columns = tuple(each.name for each in COLUMNS)
    given_cells = {"participant": "P001", **dict(zip(columns, cells, strict=True)), "visit": "W0"}
    table = RawTable("t.csv", ("participant", *columns), (RawRow(2, given_cells),))
    queries = Queries()
    (row,) = checked_rows(table, queries, *CLINICAL, required=("participant",))

    asked = {query.column for query in queries}
    for each in COLUMNS:
        value = row.values.get(each.name)
        assert (value is not None) + (each.name in asked) + is_missing(given_cells[each.name]) == 1
        if isinstance(value, float) and each.lowest is not None and each.highest is not None:
            assert each.lowest <= value <= each.highest
    assert all(query.remedy and query.expected and query.row == 2 for query in queries)
