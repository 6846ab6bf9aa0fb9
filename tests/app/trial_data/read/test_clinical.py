"""Bad clinical data: each fault names row, column and remedy, and good rows still count."""

from __future__ import annotations

import re
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparcc_pipeline.app.report.language import language
from sparcc_pipeline.app.results.table_reader import RawRow, RawTable
from sparcc_pipeline.app.trial_data.read.cells import is_missing
from sparcc_pipeline.app.trial_data.read.clinical import Clinical, read_clinical
from sparcc_pipeline.app.trial_data.read.dictionary import fields_of
from sparcc_pipeline.app.trial_data.read.field_table import CLINICAL
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.read.rows import checked_rows
from sparcc_pipeline.errors import BlindingError, InputError
from sparcc_pipeline.trial.instruments import AsdasForm, asas_hi
from sparcc_pipeline.trial.nsaid import NsaidIntake
from sparcc_pipeline.trial.records import ClinicalVisit, DataQuery, QueryKind

from ....trial.builders import protocol
from ..conftest import participant_row, visit_row, write_csv, write_excel

ONE_OF_EACH_KIND = {"visit_date", "basdai_1", "crp_mg_l", "asas_hi_1", "site", "nsaid_1_drug", "age_years", "rescue"}
COLUMNS = tuple(each for each in fields_of(*CLINICAL) if each.name in ONE_OF_EACH_KIND)


def read(*files: Path) -> tuple[Clinical, Queries]:
    queries = Queries()
    return read_clinical(files, protocol(), queries), queries


def read_rows(folder: Path, *rows: dict[str, Any]) -> tuple[Clinical, Queries]:
    return read(write_csv(folder / "visits.csv", rows))


def only(queries: Queries) -> DataQuery:
    assert len(queries) == 1, [query.message for query in queries]
    return queries[0]


def visit_of(clinical: Clinical, name: str = "W0", participant: str = "P001") -> ClinicalVisit:
    return next(v for v in clinical.visits if (v.participant, v.visit) == (participant, name))


def test_good_tables_raise_no_query(tmp_path: Path) -> None:
    people = write_csv(tmp_path / "participants.csv", [participant_row()])
    visits = write_csv(tmp_path / "visits.csv", [visit_row(), visit_row(week=12)])
    clinical, queries = read(people, visits)

    assert queries == []
    assert [(p.participant, p.site, p.screening.age_years) for p in clinical.participants] == [("P001", "S1", 35)]
    assert [(v.visit, v.day) for v in clinical.visits] == [("W0", 0), ("W12", 84)]
    assert clinical.dates["P001", "W12"] == date(2026, 5, 25)
    assert visit_of(clinical).basdai == (5,) * 6
    assert visit_of(clinical).nsaids == ()


FAULTS: list[tuple[str, dict[str, Any], QueryKind, str, str]] = [
    ("item out of range", {"basdai_2": 11}, QueryKind.OUT_OF_RANGE, "basdai_2", "found 11; correct the value"),
    ("negative item", {"basfi_3": -1}, QueryKind.OUT_OF_RANGE, "basfi_3", "0-10, found -1"),
    ("neither yes nor no", {"asqol_4": 2}, QueryKind.OUT_OF_RANGE, "asqol_4", "write 1 for yes and 0 for no"),
    ("implausible CRP", {"crp_mg_l": 1200}, QueryKind.OUT_OF_RANGE, "crp_mg_l", "check the unit (mg/L), correct"),
    ("text in a number column", {"esr_mm_h": "high"}, QueryKind.NOT_A_NUMBER, "esr_mm_h", "write digits only"),
    ("under the limit", {"crp_mg_l": "<0.5"}, QueryKind.NOT_A_NUMBER, "crp_mg_l", "found <0.5; write the number"),
    ("decimal comma", {"patient_global": "3,5"}, QueryKind.NOT_A_NUMBER, "patient_global", "write a decimal point"),
    ("no number", {"esr_mm_h": "nan"}, QueryKind.OUT_OF_RANGE, "esr_mm_h", "0-200 mm/h"),
    ("excel serial", {"visit_date": "46083"}, QueryKind.NOT_A_DATE, "visit_date", "Excel's number of 2026-03-02"),
    ("ambiguous date", {"visit_date": "03/02/2026"}, QueryKind.NOT_A_DATE, "visit_date", "write YYYY-MM-DD"),
    ("no such day", {"visit_date": "2026-02-30"}, QueryKind.NOT_A_DATE, "visit_date", "write YYYY-MM-DD"),
    ("unknown form", {"asdas_form": "dsa"}, QueryKind.NOT_ALLOWED, "asdas_form", "write crp or esr"),
]


@pytest.mark.parametrize(("change", "kind", "column", "said"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_bad_cell_is_a_query_and_the_rest_counts(
    tmp_path: Path, change: dict[str, Any], kind: QueryKind, column: str, said: str
) -> None:
    clinical, queries = read_rows(tmp_path, visit_row("P002"), visit_row("P001", **change))
    query = only(queries)

    assert (query.kind, query.file, query.row, query.column) == (kind, "visits.csv", 3, column)
    assert (query.participant, query.visit, query.left_out) == ("P001", "W0", "value")
    assert f"visits.csv, row 3, column '{column}': expected" in query.message
    assert said in query.message
    assert re.search("[\u4e00-\u9fff]", language("zh").say(query.remedy))
    assert len(clinical.visits) == 2
    unspoilt = visit_of(clinical)
    assert unspoilt.basdai[0] == 5
    bad = {"basdai_2": unspoilt.basdai[1], "crp_mg_l": unspoilt.crp_mg_l, "esr_mm_h": unspoilt.esr_mm_h}
    assert bad.get(column) is None


def test_a_date_in_a_number_column_says_what_the_spreadsheet_did(tmp_path: Path) -> None:
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


def test_visits_out_of_their_window_count_and_are_asked_about(tmp_path: Path) -> None:
    clinical, queries = read_rows(tmp_path, visit_row(), visit_row(week=12, visit_date="2026-08-17"))
    query = only(queries)

    assert (query.kind, query.row, query.column) == (QueryKind.OUT_OF_WINDOW, 3, "visit_date")
    assert query.message.endswith(
        "expected day 70 to 98 after baseline for W12, found day 168 (that day belongs to W24); check date and visit; "
        "if they are right, record the deviation"
    )
    assert query.left_out == "nothing"
    assert visit_of(clinical, "W12").day == 168


def test_a_missing_date_is_asked_about_once(tmp_path: Path) -> None:
    clinical, queries = read_rows(tmp_path, visit_row(), visit_row(week=12, visit_date=""))

    assert (only(queries).kind, only(queries).row) == (QueryKind.MISSING, 3)
    assert visit_of(clinical, "W12").day is None


def test_duplicates_that_differ_do_not_count_and_equal_ones_count_once(tmp_path: Path) -> None:
    clinical, queries = read_rows(
        tmp_path, visit_row("P001"), visit_row("P001", esr_mm_h=40), visit_row("P002"), visit_row("P002")
    )

    assert [(q.kind, q.row, q.participant) for q in queries] == [
        (QueryKind.DUPLICATE, 2, "P001"),
        (QueryKind.DUPLICATE, 3, "P001"),
        (QueryKind.DUPLICATE, 5, "P002"),
    ]
    assert "W0 of P001 also in row 3; remove the row that is wrong" in queries[0].message
    assert [v.participant for v in clinical.visits] == ["P002"]


def test_one_visit_may_be_spread_over_files_and_contradictions_do_not_count(tmp_path: Path) -> None:
    questionnaire = {k: v for k, v in visit_row().items() if k != "crp_mg_l"}
    lab = {"participant": "P001", "visit": "W0", "crp_mg_l": 8, "esr_mm_h": 99}
    clinical, queries = read(
        write_csv(tmp_path / "questionnaires.csv", [questionnaire]), write_csv(tmp_path / "laboratory.csv", [lab])
    )

    assert (only(queries).kind, only(queries).file, only(queries).column) == (
        QueryKind.DUPLICATE,
        "laboratory.csv",
        "esr_mm_h",
    )
    assert (visit_of(clinical).crp_mg_l, visit_of(clinical).esr_mm_h) == (8, None)


def test_a_participant_outside_the_list_is_left_out(tmp_path: Path) -> None:
    people = write_csv(tmp_path / "participants.csv", [participant_row("P001")])
    visits = write_csv(tmp_path / "visits.csv", [visit_row("P001"), visit_row("P01")])
    clinical, queries = read(visits, people)
    query = only(queries)

    assert (query.kind, query.row, query.column) == (QueryKind.UNKNOWN_PARTICIPANT, 3, "participant")
    assert "add the participant" in query.message
    assert [v.participant for v in clinical.visits] == ["P001"]


def test_a_participant_listed_twice_counts_once(tmp_path: Path) -> None:
    people = write_csv(tmp_path / "participants.csv", [participant_row(), participant_row(age_years=60)])
    clinical, queries = read(people)

    assert (only(queries).kind, only(queries).row) == (QueryKind.DUPLICATE, 3)
    assert clinical.participants[0].screening.age_years == 35


@pytest.mark.parametrize("label", ["unscheduled", "W13", "visit 12", ""])
def test_a_visit_that_is_not_planned_is_left_out(tmp_path: Path, label: str) -> None:
    clinical, queries = read_rows(tmp_path, visit_row(), visit_row("P002", visit=label))
    query = only(queries)

    assert (query.row, query.column, query.left_out) == (3, "visit", "row")
    assert "one of W0, W12, W24" in query.message
    assert len(clinical.visits) == 1


@pytest.mark.parametrize("name", ["李明", "Li Ming", "P 001", "x" * 40])
def test_what_might_be_a_name_is_refused_and_never_shown(tmp_path: Path, name: str) -> None:
    _, queries = read_rows(tmp_path, visit_row(), visit_row(name))
    query = only(queries)

    assert (query.row, query.column, query.left_out) == (3, "participant", "row")
    assert name not in query.message
    assert query.participant is None


def test_an_identifying_column_is_not_read_and_a_crp_without_unit_is_asked_about(tmp_path: Path) -> None:
    row = {**visit_row(), "姓名": "李明", "CRP": 12, "basdai_7": 3}
    clinical, queries = read_rows(tmp_path, {k: v for k, v in row.items() if k != "crp_mg_l"})

    assert [(q.kind, q.column) for q in queries] == [
        (QueryKind.UNKNOWN_COLUMN, "姓名"),
        (QueryKind.UNKNOWN_COLUMN, "CRP"),
        (QueryKind.UNKNOWN_COLUMN, "basdai_7"),
        (QueryKind.MISSING, "crp_mg_l"),
    ]
    assert "李明" not in "".join(query.message for query in queries)
    assert "crp_mg_l or crp_mg_dl" in queries[1].message
    assert visit_of(clinical).crp_mg_l is None


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


def _redcap(week: int, boxes: int, complete: int) -> dict[str, Any]:
    row = {
        k: v
        for k, v in visit_row(week=week).items()
        if not k.startswith("asas_hi") and k not in ("participant", "visit")
    }
    event = "baseline_arm_1" if week == 0 else f"week_{week}_arm_1"
    return {
        "record_id": "P001",
        "redcap_event_name": event,
        "redcap_repeat_instrument": "",
        "redcap_repeat_instance": "",
        "redcap_data_access_group": "S1",
        **row,
        **{f"asas_hi___{n}": int(n <= boxes) for n in range(1, 18)},
        "asas_hi_complete": complete,
    }


def test_a_redcap_export_is_read(tmp_path: Path) -> None:
    clinical, queries = read_rows(tmp_path, _redcap(0, 4, 2), _redcap(12, 0, 2))

    assert queries == []
    assert clinical.participants[0].site == "S1"
    assert [asas_hi(v.asas_hi).value for v in clinical.visits] == [4, 0]


def test_empty_checkboxes_of_a_form_that_is_not_complete_are_missing_and_never_no(tmp_path: Path) -> None:
    clinical, queries = read_rows(tmp_path, _redcap(0, 4, 2), _redcap(12, 0, 0))

    assert (only(queries).kind, only(queries).row, only(queries).column) == (QueryKind.MISSING, 3, "asas_hi___1")
    assert "set asas_hi_complete to 2" in only(queries).message
    assert visit_of(clinical, "W12").asas_hi == (None,) * 17


def test_repeated_instruments_of_redcap_are_left_out(tmp_path: Path) -> None:
    _, queries = read_rows(tmp_path, _redcap(0, 4, 2), {**_redcap(12, 4, 2), "redcap_repeat_instrument": "labs"})

    assert (only(queries).row, only(queries).left_out) == (3, "row")


@pytest.mark.parametrize("column", ["arm", "Treatment", "组别", "dose_step", "Allocation"])
def test_a_column_that_tells_the_arm_stops_everything(tmp_path: Path, column: str) -> None:
    with pytest.raises(BlindingError, match=f"visits.csv, found '{column}'"):
        read_rows(tmp_path, {**visit_row(), column: "taper"})


def test_events_of_two_redcap_arms_stop_everything(tmp_path: Path) -> None:
    other = {**_redcap(0, 4, 2), "record_id": "P002", "redcap_event_name": "baseline_arm_2"}

    with pytest.raises(BlindingError, match="_arm_N"):
        read_rows(tmp_path, _redcap(0, 4, 2), other)


def _nsaid(**more: Any) -> dict[str, Any]:
    drug = {"nsaid_1_drug": "Celecoxib", "nsaid_1_dose_mg": 200, "nsaid_1_days": 14}
    return visit_row(**{"nsaid_taken": 1, **drug, **more})


def test_nsaids_are_read_by_english_and_chinese_names(tmp_path: Path) -> None:
    more = {"nsaid_2_drug": "双氯芬酸", "nsaid_2_dose_mg": 75, "nsaid_2_days": 28}
    clinical, queries = read_rows(tmp_path, _nsaid(**more))

    assert queries == []
    assert visit_of(clinical).nsaids == (NsaidIntake("celecoxib", 200, 14), NsaidIntake("diclofenac", 75, 28))


@pytest.mark.parametrize(
    ("change", "column", "said", "known"),
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
    tmp_path: Path, change: dict[str, Any], column: str, said: str, known: bool
) -> None:
    clinical, queries = read_rows(tmp_path, _nsaid(**change))

    assert only(queries).column == column
    assert said in only(queries).message
    assert (visit_of(clinical).nsaids is not None) == known


def test_nothing_said_about_nsaids_is_not_none_taken(tmp_path: Path) -> None:
    assert visit_of(read_rows(tmp_path, visit_row(nsaid_taken=""))[0]).nsaids is None


def test_missing_words_are_missing(tmp_path: Path) -> None:
    clinical, queries = read_rows(tmp_path, visit_row(basdai_1="NA", esr_mm_h=".", crp_mg_l="n/a", basfi_1=" "))

    assert [(q.kind, q.row, q.column, q.left_out) for q in queries] == [
        (QueryKind.MISSING, 2, column, "nothing") for column in ("basdai_1", "basfi_1", "crp_mg_l")
    ]
    assert "expected all 6 items of BASDAI, found 1 missing: basdai_1; fill it in if it is known" in queries[0].message
    found = visit_of(clinical)
    assert (found.basdai[0], found.esr_mm_h, found.crp_mg_l, found.basfi[0]) == (None, None, None, None)


def test_faults_of_a_whole_file_are_refused(tmp_path: Path) -> None:
    empty, binary, word = tmp_path / "empty.csv", tmp_path / "binary.csv", tmp_path / "visits.docx"
    empty.write_text("\n\n")
    binary.write_bytes(b"\x00\x01\x02")
    word.write_bytes(b"")
    broken = tmp_path / "broken.xlsx"
    broken.write_bytes(b"PK\x03\x04nothing")
    twice = tmp_path / "twice.csv"
    twice.write_text("participant,visit,visit\nP1,W0,W0\n")
    two_names = tmp_path / "two_names.csv"
    two_names.write_text("participant,受试者,visit\nP1,P1,W0\n")
    nobody = tmp_path / "nobody.csv"
    nobody.write_text("visit,basdai_1\nW0,3\n")
    for file, said in (
        (empty, "empty table"),
        (binary, "binary content"),
        (word, "save it as CSV"),
        (broken, "open and save it again"),
        (twice, "'visit' twice"),
        (two_names, "'participant' and '受试者'"),
        (nobody, "a column 'participant'"),
        (tmp_path / "none.csv", "check the path"),
        (tmp_path, "expected a table"),
    ):
        with pytest.raises(InputError) as caught:
            read(file)
        assert said in str(caught.value)


def test_a_workbook_with_broken_xml_is_refused(tmp_path: Path) -> None:
    whole = write_excel(tmp_path / "whole.xlsx", [visit_row()])
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(tmp_path / "v.xlsx", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name)[: 200 if "sheet1" in name else None])

    with pytest.raises(InputError, match=r"v\.xlsx, found one that cannot be read"):
        read(tmp_path / "v.xlsx")


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


def test_further_sheets_and_formulas_without_value_are_said(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["participant", "visit", "visit_date", "patient_global", "crp_mg_l", "esr_mm_h"])
    sheet.append(["P001", "W0", "2026-03-02", 3, 2, "=10+5"])
    book.create_sheet("notes")
    book.save(tmp_path / "v.xlsx")
    clinical, queries = read(tmp_path / "v.xlsx")

    assert [q.found for q in queries] == [
        "1 further sheets, which are not read",
        "1 formulas without a stored value, which count as missing",
    ]
    assert visit_of(clinical).esr_mm_h is None


def test_semicolons_and_tabs_are_found(tmp_path: Path) -> None:
    for delimiter in ";\t":
        file = tmp_path / "v.csv"
        file.write_text(
            delimiter.join(("participant", "visit", "visit_date")) + "\n" + delimiter.join(("P1", "W0", "2026-03-02"))
        )
        assert [v.participant for v in read(file)[0].visits] == ["P1"]
