"""`sparcc trial` as a user calls it: tables, codebook, status, entry criteria, steps."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import tomli_w

from sparcc_pipeline.app.trial_data.read.dictionary import dictionary_toml
from sparcc_pipeline.trial.protocol.choices import CHOICES

from ...trial.builders import MADE, SHIPPED, content
from .conftest import Call, Files, inputs, participant_row, visit_row, write_csv


def table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_protocol_check_lists_settings_with_sources_and_every_open_choice(trial: Call) -> None:
    ended = trial("protocol", "check")

    assert ended.code == 0
    assert "target.sparcc_cut_off = 2  [[C] [RapidAxSpa]" in ended.out
    for choice in CHOICES:
        assert f"{choice.key}: {choice.what}: UNSET" in ended.out
        assert all(option.text in ended.out for option in choice.options)
    assert "8 of 8 choices are unset" in ended.out
    listed = ended.out.split("To be confirmed by the trial")[1].split("Choices that")[0]
    for key in ("visits.W12", "imaging.adjudication_limit = 3.4", "target.flare_asdas_rise = 0.9"):
        assert f"  {key}" in listed
    assert "target.sparcc_cut_off" not in listed and "taper.full_dose" not in listed


def test_protocol_check_of_a_file_whose_choices_are_made(trial: Call, made_protocol: Path) -> None:
    ended = trial("protocol", "check", made_protocol)

    assert ended.code == 0
    assert "UNSET" not in ended.out
    assert "observation_weeks: weeks of observation after the first step: 12  [a test]" in ended.out


def test_protocol_check_names_file_and_key_of_a_fault(trial: Call, tmp_path: Path) -> None:
    tables = content()
    tables["target"]["sparc"] = {"value": 2, "source": "x"}
    file = tmp_path / "mine.toml"
    file.write_text(tomli_w.dumps(tables), encoding="utf-8")
    ended = trial("protocol", "check", file)

    assert ended.code == 2
    assert "mine.toml" in ended.err and "'target.sparc'" in ended.err
    assert trial("protocol", "check", tmp_path / "none.toml").code == 2


def test_the_published_dictionary_is_that_of_the_program(trial: Call) -> None:
    published = (SHIPPED.parent / "data_dictionary.toml").read_text(encoding="utf-8")

    assert published == dictionary_toml(), "run `sparcc trial dictionary > configs/protocols/data_dictionary.toml`"
    assert trial("dictionary").out == published


def test_import_writes_tidy_tables_with_codebook_and_mapping(trial: Call, files: Files, tmp_path: Path) -> None:
    ended = trial("import", *inputs(files), "--out", tmp_path / "out")

    assert ended.code == 0, ended.err
    assert "2 participants, 6 visits, 12 readings, 4 scores" in ended.out
    assert "0 data queries" in ended.out
    out = tmp_path / "out"
    names = ("participants", "visits", "instruments", "readings", "scores", "queries")
    assert {file.name for file in out.iterdir()} == {
        "trial.json",
        "codebook.csv",
        "cdisc_mapping.csv",
        *(f"{name}.{kind}" for name in names for kind in ("csv", "parquet")),
    }
    codebook = table(out / "codebook.csv")
    for name in names:
        rows, parquet = table(out / f"{name}.csv"), pq.read_table(out / f"{name}.parquet")
        described = [row["column"] for row in codebook if row["table"] == name]
        assert parquet.column_names == described
        assert parquet.num_rows == len(rows)
        assert not rows or list(rows[0]) == described
    main = json.loads((out / "trial.json").read_text())
    assert main["rows"]["visits"] == 6
    assert main["research_use_only"] is True
    assert {each["file"] for each in main["inputs"]} == {
        "participants.csv",
        "visits.csv",
        "readings.csv",
        "manifest.csv",
    }
    mapping = {(r["table"], r["column"]): f"{r['domain']}.{r['variable']}" for r in table(out / "cdisc_mapping.csv")}
    assert mapping["visits", "crp_mg_l"] == "LB.CRP"
    assert mapping["participants", "participant"] == "DM.SUBJID"


def test_imported_values_are_those_of_the_input(trial: Call, files: Files, tmp_path: Path) -> None:
    assert trial("import", *inputs(files), "--out", tmp_path / "out").code == 0
    first = table(tmp_path / "out" / "visits.csv")[0]
    typed = pq.read_table(tmp_path / "out" / "visits.parquet").to_pylist()[0]

    assert (first["visit_date"], first["day"], first["timing"], first["rescue"]) == (
        "2026-03-02",
        "0",
        "in window",
        "0",
    )
    assert typed["visit_date"].isoformat() == "2026-03-02"
    assert (typed["basdai_1"], typed["rescue"], typed["nsaid_taken"]) == (5.0, False, False)
    assert typed["basdai"] == pytest.approx(5.0)
    instruments = {
        (r["participant"], r["visit"], r["instrument"]): r for r in table(tmp_path / "out" / "instruments.csv")
    }
    assert float(instruments["P001", "W0", "asdas_crp"]["value"]) == pytest.approx(typed["asdas_crp"])
    assert len(instruments) == 6 * 7


def test_missing_is_empty_and_never_0(trial: Call, tmp_path: Path) -> None:
    visits = write_csv(tmp_path / "v.csv", [visit_row(basdai_1="", rescue="", esr_mm_h="")])
    assert trial("import", visits, "--out", tmp_path / "out").code == 0
    row = table(tmp_path / "out" / "visits.csv")[0]

    assert [row[name] for name in ("basdai_1", "basdai", "rescue", "esr_mm_h", "asdas_esr")] == [""] * 5
    typed = pq.read_table(tmp_path / "out" / "visits.parquet").to_pylist()[0]
    assert [typed[name] for name in ("basdai_1", "basdai", "rescue")] == [None] * 3


def test_queries_are_printed_and_written_out_with_the_good_rows(trial: Call, tmp_path: Path) -> None:
    visits = write_csv(tmp_path / "v.csv", [visit_row(), visit_row("P002", basdai_1=12)])
    ended = trial("import", visits, "--out", tmp_path / "out")

    assert ended.code == 0
    assert "query: v.csv, row 3, column 'basdai_1': expected a number of 0-10, found 12; correct the value" in ended.err
    (query,) = table(tmp_path / "out" / "queries.csv")
    assert (query["row"], query["column"], query["left_out"]) == ("3", "basdai_1", "value")
    assert len(table(tmp_path / "out" / "visits.csv")) == 2


def test_nothing_is_overwritten_without_force(trial: Call, files: Files, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert trial("import", *inputs(files), "--out", out).code == 0
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    refused = trial("import", files.visits, "--out", out)

    assert refused.code == 6
    assert "add --force" in refused.err
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    assert trial("import", files.visits, "--out", out, "--force").code == 0
    assert len(table(out / "scores.csv")) == 0

    (out / "mine.txt").write_text("mine")
    assert trial("import", files.visits, "--out", out, "--force").code == 6
    assert (out / "mine.txt").read_text() == "mine"


def test_status_by_participant_and_visit(trial: Call, files: Files, made_protocol: Path, tmp_path: Path) -> None:
    ended = trial("status", *inputs(files), "--protocol", made_protocol, "--out", tmp_path / "out")

    assert ended.code == 0, ended.err
    assert (
        "P001 W0: neither; ASDAS 3.32 (+2.02 from 1.3); SPARCC 10 (+8 from 2, P 0.00; two locked readings)" in ended.out
    )
    assert "P001 W12: both; ASDAS 0.64 (-0.66 from 1.3); SPARCC 0.5 (-1.5 from 2, P 0.89; two locked" in ended.out
    assert "P001 W24: both" in ended.out and "sustained" in ended.out
    assert "both 4, clinical only 0, imaging only 0, neither 2, not assessable 10" in ended.out
    rows = {(row["participant"], row["visit"]): row for row in table(tmp_path / "out" / "status.csv")}
    assert len(rows) == 16
    second = rows["P001", "W12"]
    assert (second["status"], second["score_source"], second["readers"]) == ("both", "two locked readings", "R1 R2")
    assert (second["clinical_asdas_inactive"], second["imaging_up_to_cut_off"]) == ("1", "1")
    assert second["status_asdas_low_below_cut_off"] == "both"
    assert float(second["sparcc_change"]) == -9.5
    empty = rows["P001", "W84"]
    assert (empty["status"], empty["clinical_asdas_inactive"], empty["timing"]) == (
        "not assessable",
        "",
        "not recorded",
    )
    assert "imaging: no reading" in empty["reasons"]


def test_the_machine_never_replaces_readings(trial: Call, files: Files, made_protocol: Path) -> None:
    ended = trial("status", files.participants, files.visits, "--scores", files.manifest, "--protocol", made_protocol)

    assert "P001 W12: not assessable" in ended.out
    assert "SPARCC" not in ended.out


def test_the_machine_counts_if_the_protocol_chooses_it(trial: Call, files: Files, tmp_path: Path) -> None:
    tables = content(**MADE)
    tables["imaging"]["counts"] = {"value": "machine", "source": "a test"}
    protocol = tmp_path / "machine.toml"
    protocol.write_text(tomli_w.dumps(tables), encoding="utf-8")
    ended = trial("status", files.visits, files.participants, "--scores", files.manifest, "--protocol", protocol)

    assert "P001 W12: both; ASDAS 0.64 (-0.66 from 1.3); SPARCC 1 (-1 from 2; machine)" in ended.out


@pytest.mark.parametrize("command", ["status", "eligibility", "steps"])
def test_a_run_that_needs_an_unset_choice_stops_and_shows_the_readings(
    trial: Call, files: Files, tmp_path: Path, command: str
) -> None:
    more = ["--allocation", files.allocation, "--dosing", files.dosing] if command == "steps" else []
    ended = trial(command, files.visits, *more, "--out", tmp_path / "out")

    assert ended.code == 2
    shown = {
        "status": ("SPARCC < 2", "SPARCC <= 2"),
        "eligibility": ("18-59 years", "18-60 years"),
        "steps": ("24 weeks", "12 weeks"),
    }
    assert all(text in ended.err for text in shown[command])
    assert not (tmp_path / "out").exists()


def test_eligibility_prints_each_reason(trial: Call, files: Files, made_protocol: Path, tmp_path: Path) -> None:
    people = write_csv(
        tmp_path / "people.csv", [participant_row("P001"), participant_row("P002", haemoglobin_g_l=85, egfr_ml_min="")]
    )
    given = [people, files.visits, "--readings", files.readings, "--protocol", made_protocol]
    ended = trial("eligibility", *given, "--out", tmp_path / "out")

    assert ended.code == 0, ended.err
    assert "P001: entry criteria met" in ended.out
    assert "P002: entry criteria not met" in ended.out
    assert "haemoglobin: expected 90 g/L or more, found 85 g/L: not met" in ended.out
    assert "eGFR: expected 60 mL/min or more, found no value: unknown" in ended.out
    assert len(table(tmp_path / "out" / "eligibility.csv")) == 2 * 19


def test_steps_of_the_taper_arm_are_a_record(trial: Call, files: Files, made_protocol: Path, tmp_path: Path) -> None:
    unblinded = ["--allocation", files.allocation, "--dosing", files.dosing, "--protocol", made_protocol]
    ended = trial("steps", files.participants, files.visits, *unblinded, "--out", tmp_path / "out")

    assert ended.code == 0, ended.err
    assert ended.out.startswith("UNBLINDED")
    assert "P001 step 1 (5 mg every other day): criterion met at W12; recorded at W12" in ended.out
    assert "P001 step 2 (15 mg, with two days between doses): criterion met at W12 W24; not recorded" in ended.out
    assert "P002" not in ended.out
    assert json.loads((tmp_path / "out" / "trial.json").read_text())["unblinded"] is True


def test_a_step_recorded_against_its_criterion_is_seen(trial: Call, files: Files, made_protocol: Path) -> None:
    visits = write_csv(files.folder / "active.csv", [visit_row(), visit_row(week=12)])
    ended = trial(
        "steps", visits, "--allocation", files.allocation, "--dosing", files.dosing, "--protocol", made_protocol
    )

    assert "criterion not met at W12; recorded at W12, although the criterion was not met" in ended.out


@pytest.mark.parametrize(
    ("rows", "code", "sentence"),
    [
        (
            [{"participant": "P001", "arm": "taper"}, {"participant": "P001", "arm": "control"}],
            3,
            "two for P001 (row 3)",
        ),
        ([{"participant": "P001", "arm": "placebo"}], 0, "one of taper, control"),
        ([{"participant": "P077", "arm": "taper"}], 0, "P077, who is not there"),
    ],
)
def test_a_bad_allocation_is_named(
    trial: Call, files: Files, made_protocol: Path, rows: list[dict[str, Any]], code: int, sentence: str
) -> None:
    allocation = write_csv(files.folder / "bad.csv", rows)
    given = ["--allocation", allocation, "--dosing", files.dosing, "--protocol", made_protocol]
    ended = trial("steps", files.participants, files.visits, *given)

    assert ended.code == code
    assert sentence in ended.err


@pytest.mark.parametrize(
    "text",
    [
        "three of the four readings of first_step and second_step",
        "the clinical-imaging dual target, the intervention low disease activity alone",
        "18-60, in the Chinese and in the English text",
        "time point of the primary outcomes",
        "rescue treatment, and going back to the full dose",
        "safety outcomes",
        "classification criteria",
    ],
)
def test_the_check_reports_each_contradiction_and_gap_of_the_registry_entry(trial: Call, text: str) -> None:
    assert text in trial("protocol", "check").out


def test_the_check_reports_the_doses_of_the_choices(trial: Call, made_protocol: Path) -> None:
    assert (
        "the second step is the higher dose: 5 mg a day after 2.5 mg" in trial("protocol", "check", made_protocol).out
    )
