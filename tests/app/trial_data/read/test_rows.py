"""Whole tables: columns that are refused or not read, damaged files, other separators."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from sparcc_pipeline.errors import BlindingError, InputError
from sparcc_pipeline.trial.records import QueryKind

from ..conftest import visit_row, write_csv, write_excel
from .clinical_files import only, read, read_rows, redcap_row, visit_of


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


def test_repeated_instruments_of_redcap_are_left_out(tmp_path: Path) -> None:
    _, queries = read_rows(tmp_path, redcap_row(0, 4, 2), {**redcap_row(12, 4, 2), "redcap_repeat_instrument": "labs"})

    assert (only(queries).row, only(queries).left_out) == (3, "row")


@pytest.mark.parametrize(
    "column",
    [
        *(
            "arm",
            "Treatment",
            "组别",
            "dose_step",
            "Allocation",
            "ARMCD",
            "ACTARM",
            "TRT01P",
            "TRT01A",
            "EXDOSE",
            "EXTRT",
        ),
        *(
            "试验分组",
            "用药剂量",
            "随机号",
            "randomisation_no",
            "Study drug",
            "Dose (mg)",
            "upadacitinib_mg",
            "研究用药",
        ),
    ],
)
def test_a_column_that_reveals_the_arm_stops_everything(tmp_path: Path, column: str) -> None:
    with pytest.raises(BlindingError, match=f"visits.csv, found '{re.escape(column)}'"):
        read_rows(tmp_path, {**visit_row(), column: "taper"})


@pytest.mark.parametrize(
    "column",
    ["合并用药", "pharmacy", "army", "harm", "nsaid_5_dose_mg", "NSAID日剂量5", "treatment_history", "小组讨论"],
)
def test_a_column_with_part_of_such_a_word_is_merely_unknown(tmp_path: Path, column: str) -> None:
    _, queries = read_rows(tmp_path, {**visit_row(), column: 1})

    assert (only(queries).kind, only(queries).column) == (QueryKind.UNKNOWN_COLUMN, column)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "upadacitinib 5 mg qod (taper arm)",
            "UPA",
            "Rinvoq",
            "乌帕替尼 15mg",
            "taper",
            "Tapering",
            "control",
            "control arm",
        ),
        *(
            "5 mg every other day",
            "隔日一次",
            "减量组",
            "对照组",
            "A组",
            "Arm B",
            "full dose",
            "剂量减半",
            "15 mg",
            "study drug",
        ),
        *("randomised to the control group", "unblinded", "dose reduction", "ＱＯＤ"),
    ],
)
@pytest.mark.parametrize("column", ["nsaid_1_drug", "remarks", "patient_global", "asdas_form"])
def test_a_text_of_arm_drug_or_dose_stops_everything(tmp_path: Path, text: str, column: str) -> None:
    with pytest.raises(BlindingError, match=rf"visits.csv, found one in row 2, column '{column}'") as caught:
        read_rows(tmp_path, {**visit_row(), column: text})

    assert repr(text) not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "naproxen",
        "celecoxib 200 mg",
        "塞来昔布",
        "controlled",
        "uncontrolled hypertension",
        "上臂",
        "Urumqi",
        "alarm 1",
    ],
)
def test_other_texts_do_not_stop_anything(tmp_path: Path, text: str) -> None:
    read_rows(tmp_path, {**visit_row(), "remarks": text})


def test_a_file_name_that_reveals_the_arm_stops_everything(tmp_path: Path) -> None:
    with pytest.raises(BlindingError, match="expected a file name"):
        read(write_csv(tmp_path / "visits_taper.csv", [visit_row()]))


def test_events_of_two_redcap_arms_stop_everything(tmp_path: Path) -> None:
    other = {**redcap_row(0, 4, 2), "record_id": "P002", "redcap_event_name": "baseline_arm_2"}

    with pytest.raises(BlindingError, match="_arm_N"):
        read_rows(tmp_path, redcap_row(0, 4, 2), other)


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
    no_key = tmp_path / "no_key.csv"
    no_key.write_text("visit,basdai_1\nW0,3\n")
    for file, sentence in (
        (empty, "empty table"),
        (binary, "binary content"),
        (word, "save it as CSV"),
        (broken, "open and save it again"),
        (twice, "'visit' twice"),
        (two_names, "'participant' and '受试者'"),
        (no_key, "a column 'participant'"),
        (tmp_path / "none.csv", "check the path"),
        (tmp_path, "expected a table"),
    ):
        with pytest.raises(InputError) as caught:
            read(file)
        assert sentence in str(caught.value)


def test_a_workbook_with_broken_xml_is_refused(tmp_path: Path) -> None:
    whole = write_excel(tmp_path / "whole.xlsx", [visit_row()])
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(tmp_path / "v.xlsx", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name)[: 200 if "sheet1" in name else None])

    with pytest.raises(InputError, match=r"v\.xlsx, found one that cannot be read"):
        read(tmp_path / "v.xlsx")


def test_further_sheets_and_formulas_without_value_are_reported(tmp_path: Path) -> None:
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
