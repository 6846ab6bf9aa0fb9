"""`sparcc trial export`: complete datasets by the standards, and nothing of the arm in a blinded one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pyreadstat
import pytest

from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.app.trial_data import run
from sparcc_pipeline.app.trial_data.cdisc.dataset import Variable
from sparcc_pipeline.app.trial_data.cdisc.exposure import _dose
from sparcc_pipeline.app.trial_data.columns import study_day
from sparcc_pipeline.app.trial_data.read.blinding import text_reveals_arm
from sparcc_pipeline.app.trial_data.trial_report.words import DOSES

from ..conftest import Call, Files, inputs, write_csv

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": [
        "datasetJSONCreationDateTime",
        "datasetJSONVersion",
        "itemGroupOID",
        "records",
        "name",
        "label",
        "columns",
    ],
    "properties": {
        **dict.fromkeys(
            ("fileOID", "originator", "studyOID", "metaDataVersionOID", "metaDataRef", "itemGroupOID", "name", "label"),
            {"type": "string"},
        ),
        "datasetJSONCreationDateTime": {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
        "datasetJSONVersion": {"const": "1.1.0"},
        "sourceSystem": {"type": "object", "required": ["name", "version"]},
        "records": {"type": "integer"},
        "rows": {"type": "array", "items": {"type": "array"}},
        "columns": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["itemOID", "name", "label", "dataType"],
                "properties": {
                    **dict.fromkeys(("itemOID", "displayFormat"), {"type": "string"}),
                    "name": {"pattern": "^[A-Z][A-Z0-9]{0,7}$"},
                    "label": {"type": "string", "maxLength": 40},
                    "dataType": {"enum": ["string", "integer", "float", "date"]},
                    "targetDataType": {"enum": ["integer"]},
                    "length": {"type": "integer", "minimum": 1},
                    "keySequence": {"type": "integer", "minimum": 1},
                },
            },
        },
    },
}
"""Dataset-JSON 1.1, as far as it is used here. The published schema was used by hand."""

ARM_VARIABLES = re.compile(r"ARM.*|ACTARM.*|TRT.*|EX.*|ITTFL")


@pytest.fixture
def safety(files: Files) -> list[str | Path]:
    event = {"participant": "P001", "term": "nausea", "start_date": "2026-03-01", "ctcae_grade": 2, "serious": 0}
    value = {"participant": "P001", "visit": "W12", "test": "alt", "value": 55, "unit": "U/L", "upper_limit": 40}
    return [
        *("--adverse-events", write_csv(files.folder / "ae.csv", [{**event, "related": 1, "outcome": "recovered"}])),
        *("--laboratory", write_csv(files.folder / "lab.csv", [value])),
    ]


def _datasets(folder: Path) -> dict[str, dict[str, Any]]:
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*/*.json")}


def _records(dataset: dict[str, Any]) -> list[dict[str, Any]]:
    names = [column["name"] for column in dataset["columns"]]
    return [dict(zip(names, row, strict=True)) for row in dataset["rows"]]


def _export(trial: Call, files: Files, out: Path, protocol: Path, *more: str | Path) -> None:
    ended = trial("export", *inputs(files), *more, "--protocol", protocol, "--out", out)
    assert ended.code == 0, ended.err


def test_the_blinded_export_holds_nothing_of_the_arm(
    trial: Call,
    files: Files,
    safety: list[str | Path],
    made_protocol: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moment = utc_now()
    monkeypatch.setattr(run, "utc_now", lambda: moment)
    _export(trial, files, tmp_path / "a", made_protocol, *safety)
    write_csv(files.allocation, [{"participant": "P001", "arm": "control"}, {"participant": "P002", "arm": "taper"}])
    files.dosing.unlink()
    _export(trial, files, tmp_path / "b", made_protocol, *safety)

    names = sorted(file.relative_to(tmp_path / "a") for file in (tmp_path / "a").rglob("*.*"))
    assert len(names) == 12
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    found = _datasets(tmp_path / "a")
    assert sorted(found) == ["adqs", "adsl", "ae", "dm", "dv", "lb", "mk", "qs", "sv"]
    for dataset in found.values():
        assert not [c["name"] for c in dataset["columns"] if ARM_VARIABLES.fullmatch(c["name"])]
        texts = {cell for row in dataset["rows"] for cell in row if isinstance(cell, str)}
        assert not [text for text in texts if text_reveals_arm(text)]
    for define in (tmp_path / "a").rglob("define.xml"):
        assert not re.search("taper|control arm|15 mg|TRT01|ARMCD", define.read_text(encoding="utf-8"))


def test_the_unblinded_export_has_arm_treatment_and_exposure(
    trial: Call, files: Files, safety: list[str | Path], made_protocol: Path, tmp_path: Path
) -> None:
    unblinded: list[str | Path] = ["--unblind", files.allocation, "--dosing", files.dosing, "--xpt"]
    _export(trial, files, tmp_path / "u", made_protocol, *safety, *unblinded)

    found = _datasets(tmp_path / "u")
    assert [row["ARMCD"] for row in _records(found["dm"])] == ["TAPER", "CONTROL"]
    assert [row["TRT01P"] for row in _records(found["adsl"])] == ["taper", "control"]
    exposure = _records(found["ex"])
    assert [(r["EXDOSE"], r["EXDOSFRQ"], r["EXSTDTC"], r["EXENDTC"]) for r in exposure] == [
        (15.0, "QD", "2026-03-02", "2026-05-24"),
        (5.0, "QOD", "2026-05-25", "2026-08-17"),
    ]
    assert [(r["EXSTDY"], r["EXENDY"]) for r in exposure] == [(1, 84), (85, 169)]


def test_every_dataset_is_valid_and_its_columns_are_in_define_xml(
    trial: Call, files: Files, safety: list[str | Path], made_protocol: Path, tmp_path: Path
) -> None:
    _export(trial, files, tmp_path / "out", made_protocol, *safety)

    for group in ("sdtm", "adam"):
        root = ElementTree.parse(tmp_path / "out" / group / "define.xml").getroot()
        odm, define = "{http://www.cdisc.org/ns/odm/v1.3}", "{http://www.cdisc.org/ns/def/v2.1}"
        items = {each.get("OID"): each for each in root.iter(f"{odm}ItemDef")}
        groups = {each.get("OID"): each for each in root.iter(f"{odm}ItemGroupDef")}
        comments = {each.get("OID") for each in root.iter(f"{define}CommentDef")}
        assert {each.get(f"{define}CommentOID") for each in items.values()} - {None} == comments
        for file in (tmp_path / "out" / group).glob("*.json"):
            dataset = json.loads(file.read_text(encoding="utf-8"))
            jsonschema.validate(dataset, SCHEMA)
            assert dataset["records"] == len(dataset["rows"])
            references = [r.get("ItemOID") for r in groups[dataset["itemGroupOID"]].iter(f"{odm}ItemRef")]
            assert references == [column["itemOID"] for column in dataset["columns"]]
            assert set(references) <= set(items)
            keys = sorted((c["keySequence"], c["name"]) for c in dataset["columns"] if "keySequence" in c)
            values = [tuple(str(row[name]) for _, name in keys) for row in _records(dataset)]
            assert len(set(values)) == len(values), f"the keys of {dataset['name']} are not unique"


def test_transport_files_hold_the_same_rows(
    trial: Call, files: Files, safety: list[str | Path], made_protocol: Path, tmp_path: Path
) -> None:
    _export(trial, files, tmp_path / "out", made_protocol, *safety, "--xpt")

    for file in (tmp_path / "out").rglob("*.xpt"):
        frame, meta = pyreadstat.read_xport(str(file))
        dataset = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        assert list(frame.columns) == [column["name"] for column in dataset["columns"]]
        assert meta.column_labels == [column["label"] for column in dataset["columns"]]
        assert (len(frame), meta.table_name) == (dataset["records"], dataset["name"])
    adqs, _ = pyreadstat.read_xport(str(tmp_path / "out" / "adam" / "adqs.xpt"))
    assert str(adqs["ADT"].dropna().iloc[0]) == "2026-03-02"


def test_values_days_and_flags(
    trial: Call, files: Files, safety: list[str | Path], made_protocol: Path, tmp_path: Path
) -> None:
    _export(trial, files, tmp_path / "out", made_protocol, *safety)
    found = {name: _records(each) for name, each in _datasets(tmp_path / "out").items()}

    assert [row["SVSTDY"] for row in found["sv"]] == [1, 85, 169] * 2
    assert [(r["AESTDY"], r["AETOXGR"], r["AEDECOD"]) for r in found["ae"]] == [(-1, "2", None)]
    (followed,) = [r for r in found["lb"] if r["LBTESTCD"] == "ALT" and r["VISIT"] == "W12"]
    assert (followed["LBNRIND"], followed["LBDY"], followed["LBLOBXFL"]) == ("HIGH", 85, None)
    assert {row["SEX"] for row in found["dm"]} == {"U"}
    score = {(r["USUBJID"], r["PARAMCD"], r["AVISITN"]): r for r in found["adqs"]}
    first, later = (score["ChiCTR2600118800-P001", "SPARCC", week] for week in (0, 12))
    assert (first["AVAL"], first["ABLFL"], first["CHG"]) == (10, "Y", None)
    assert (later["AVAL"], later["BASE"], later["CHG"], later["ANL01FL"]) == (0.5, 10, -9.5, "Y")


def test_crp_below_detection_keeps_its_sign(trial: Call, files: Files, made_protocol: Path, tmp_path: Path) -> None:
    files.visits.write_text(files.visits.read_text().replace(",0.4,", ",<5,"))

    _export(trial, files, tmp_path / "out", made_protocol)

    crp = [r for r in _records(_datasets(tmp_path / "out")["lb"]) if r["LBTESTCD"] == "CRP" and r["VISIT"] == "W12"]
    assert [(r["LBORRES"], r["LBSTRESC"], r["LBSTRESN"]) for r in crp] == [("<5", "<5", None)] * 2


def test_the_study_day_has_no_zero() -> None:
    assert [study_day(day) for day in (-2, -1, 0, 1)] == [-2, -1, 1, 2]


def test_every_dose_of_the_protocol_has_amount_and_frequency() -> None:
    assert all(set(_dose(dose)) == {"EXDOSE", "EXDOSU", "EXDOSFRQ"} for dose in DOSES)
    assert _dose("as the doctor orders") == {"EXDOSTXT": "as the doctor orders"}


def test_a_name_or_label_too_long_for_the_standard_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        Variable("NINELONGX", "label")
    with pytest.raises(ValueError, match="too long"):
        Variable("SHORT", "l" * 41)


def test_without_the_extra_the_command_names_its_installation(
    trial: Call, files: Files, made_protocol: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyreadstat", None)

    ended = trial("export", *inputs(files), "--protocol", made_protocol, "--xpt", "--out", tmp_path / "out")

    assert ended.code == 2 and "pip install '.[trial]'" in ended.err and ended.err.count("\n") == 1
