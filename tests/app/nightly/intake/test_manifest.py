"""Manifests assign by rule and never by guess, from the tables that sites write."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from sparcc_pipeline.app.nightly.intake.manifest import Assigned, Manifest, read_manifest
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.message import Message

CSV = """patient_id,accession,study_from,study_to,participant,visit
1007,,2026-01-01,2026-01-31,P01,baseline
1007,,2026-03-01,2026-05-31,P01,week12
,A77,,,P02,baseline
1009,A80,,,P03,baseline
1010,,,,P04,baseline
1010,,,,P05,baseline
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    (tmp_path / "m.csv").write_text(CSV, encoding="utf-8")
    return read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("patient", "accession", "day", "participant", "visit"),
    [
        ("1007", "", "20260101", "P01", "baseline"),
        ("1007", "X", "20260131", "P01", "baseline"),
        (" 1007 ", "", "2026.03.05", "P01", "week12"),
        ("１００７", "", "20260301", "P01", "week12"),
        ("anyone", "a77", "", "P02", "baseline"),
        ("1009", "A80", "20260101", "P03", "baseline"),
    ],
)
def test_a_row_that_fits_assigns(
    manifest: Manifest, patient: str, accession: str, day: str, participant: str, visit: str
) -> None:
    assert manifest.assign(patient, accession, day) == Assigned(participant, visit)


@pytest.mark.parametrize(
    ("patient", "accession", "day", "words"),
    [
        ("1008", "", "20260101", "no row"),
        ("01007", "", "20260101", "no row"),
        ("1007", "", "20260201", "no row spans the day"),
        ("1007", "", "", "no row spans the day"),
        ("1009", "A81", "20260101", "no row"),
        ("1010", "", "20260101", "all fit"),
        ("", "", "20260101", "no row"),
    ],
)
def test_an_unknown_or_ambiguous_study_has_a_reason_without_identity(
    manifest: Manifest, patient: str, accession: str, day: str, words: str
) -> None:
    reason = manifest.assign(patient, accession, day)

    assert isinstance(reason, Message) and words in reason
    assert not any(each and each in reason for each in (patient, accession, day))


@given(st.text(), st.text(), st.text())
def test_whatever_a_header_holds_gets_an_answer(patient: str, accession: str, day: str) -> None:
    manifest = Manifest(())

    assert isinstance(manifest.assign(patient, accession, day), Message)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_chinese_headers_in_the_encodings_of_excel(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "对照表.csv"
    text = "病历号;检查开始日期;检查结束日期;受试者编号;访视\n00123;2026年1月2日;2026/1/9;P01;baseline\n"
    file.write_bytes(text.encode(encoding))

    assert read_manifest(file).assign("00123", "", "20260109") == Assigned("P01", "baseline")


def test_excel_and_toml_assign_the_same(tmp_path: Path) -> None:
    workbook = Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in (["影像号", "受试者", "访视"], [1007, "P01", "baseline"]):
        sheet.append(row)
    workbook.save(tmp_path / "m.xlsx")
    (tmp_path / "m.toml").write_text('[[study]]\npatient_id = "1007"\nparticipant = "P01"\nvisit = "baseline"\n')

    for name in ("m.xlsx", "m.toml"):
        assert read_manifest(tmp_path / name).assign("1007", "", "20260101") == Assigned("P01", "baseline")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("patient_id,visit\n1,b\n", "participant"),
        ("patient_id,participant,visit\n,P1,b\n", "row 2"),
        ("patient_id,participant,visit\n1,../P1,b\n", "row 2"),
        ("patient_id,participant,visit\n1,张三,b\n", "row 2"),
        ("patient_id,participant,visit\n1,P1,\n", "row 2"),
        ("patient_id,participant,visit,from\n1,P1,b,yesterday\n", "study_from of row 2"),
        ("patient_id,participant,visit,from,to\n1,P1,b,2026-02-02,2026-02-01\n", "row 2"),
        ("patient_id,病历号,participant,visit\n1,1,P1,b\n", "two names"),
        ("", "empty"),
    ],
)
def test_a_faulty_row_is_named_and_not_quoted(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "m.csv").write_text(content, encoding="utf-8")

    with pytest.raises(InputError, match=words) as refused:
        read_manifest(tmp_path / "m.csv")

    assert "张三" not in str(refused.value)


@pytest.mark.parametrize("content", ["[[study]]\nname = 'x'\n", "study = 1\n", "[[study]\n", "[[study]]\n[other]\n"])
def test_a_faulty_toml_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "m.toml").write_text(content)

    with pytest.raises(InputError):
        read_manifest(tmp_path / "m.toml")
