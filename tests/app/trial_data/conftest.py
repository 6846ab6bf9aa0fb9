"""A small trial in files, and `sparcc trial` called as a user calls it."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from sparcc_pipeline.app.cli import main as cli

from ...trial.builders import MADE, content

VISIT_COLUMNS = (
    "participant",
    "visit",
    "visit_date",
    *(f"basdai_{n}" for n in range(1, 7)),
    "patient_global",
    "crp_mg_l",
    "esr_mm_h",
    *(f"basfi_{n}" for n in range(1, 11)),
    *(f"asas_hi_{n}" for n in range(1, 18)),
    *(f"asqol_{n}" for n in range(1, 19)),
    "nsaid_taken",
    "nsaid_period_days",
    "rescue",
)
ARMS = ("taper", "control")
BASELINE = date(2026, 3, 2)
LABS = {
    "alt_u_l": 20,
    "alt_uln_u_l": 40,
    "ast_u_l": 20,
    "ast_uln_u_l": 40,
    "bilirubin_umol_l": 10,
    "bilirubin_uln_umol_l": 21,
    "egfr_ml_min": 95,
    "haemoglobin_g_l": 140,
    "neutrophils_1e9_l": 4,
    "platelets_1e9_l": 250,
    "lymphocytes_1e9_l": 2,
    "nyha_class": 0,
    **dict.fromkeys(("pregnancy", "malignancy", "tuberculosis", "live_vaccine", "other_exclusion"), 0),
    "other_inclusion_met": 1,
}


def participant_row(name: str = "P001", **more: Any) -> dict[str, Any]:
    return {"participant": name, "site": "S1", "age_years": 35, **LABS, **more}


def visit_row(name: str = "P001", week: int = 0, item: float = 5, **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        **dict.fromkeys(VISIT_COLUMNS, 0),
        "participant": name,
        "visit": f"W{week}",
        "visit_date": (BASELINE + timedelta(weeks=week)).isoformat(),
        **{f"basdai_{n}": item for n in range(1, 7)},
        "patient_global": item,
        "crp_mg_l": 12.5,
        "esr_mm_h": 20,
        **{f"basfi_{n}": item for n in range(1, 11)},
        "nsaid_period_days": 28,
    }
    return {**row, **more}


def write_csv(file: Path, rows: Sequence[dict[str, Any]], encoding: str = "utf-8") -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with file.open("w", encoding=encoding, newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
    return file


def write_excel(file: Path, rows: Sequence[dict[str, Any]]) -> Path:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    columns = list(rows[0])
    sheet.append(columns)
    for row in rows:
        sheet.append([row.get(name) for name in columns])
    book.save(file)
    return file


def score_folder(folder: Path, total: int | None = 1, person: str | None = None, **more: Any) -> Path:
    """A folder as `sparcc score` leaves it, as far as a trial reads it."""
    folder.mkdir(parents=True)
    document = {
        "schema": "sparcc-score/1",
        "status": "scored",
        "reason": None,
        "total": total,
        "asas_positive": bool(total and total > 1),
        "evaluable_maximum": 60,
        "spacing_mm": [4.0, 1.0, 1.0],
        "chosen_by": "transitional slice",
        "study_uid": "-".join(folder.parts[-2:]),
        "reference_signal": {"kind": "presacral_vessels", "value": 1.0},
        "provenance": {"model": {"name": "m", "version": "1"}, "input": {"files": 1, "sha256": str(folder)}},
        **more,
    }
    (folder / "score.json").write_text(json.dumps(document))
    if person is not None:
        facts = json.dumps({"series": {"person": person}}).encode()
        np.savez(folder / "study.npz", facts=np.frombuffer(facts, dtype=np.uint8))
    return folder


@dataclass
class Ended:
    code: int
    out: str
    err: str


Call = Callable[..., Ended]


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls `sparcc trial ...` in this process."""

    def call(*arguments: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["sparcc", "trial", *map(str, arguments)])
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        assert isinstance(code, int)
        printed = capsys.readouterr()
        return Ended(code, printed.out, printed.err)

    return call


@pytest.fixture
def made_protocol(tmp_path: Path) -> Path:
    """The shipped protocol with all choices made."""
    file = tmp_path / "protocol.toml"
    file.write_text(tomli_w.dumps(content(**MADE)), encoding="utf-8")
    return file


@dataclass
class Files:
    """The files of a small trial: two participants, three visits each, readings, scores, allocation, dosing."""

    folder: Path
    participants: Path
    visits: Path
    readings: Path
    manifest: Path
    allocation: Path
    dosing: Path


def inputs(files: Files) -> list[str | Path]:
    """Return the arguments that name the blinded files."""
    return [files.participants, files.visits, "--readings", files.readings, "--scores", files.manifest]


def _scores(folder: Path, people: Sequence[str]) -> list[dict[str, Any]]:
    """Write the score folders of the first two visits; return the rows of their manifest."""
    rows = []
    for number, p in enumerate(people):
        for w in (0, 12):
            score_folder(folder / "scores" / p / f"W{w}", total=1 if w else 9, person=("ab12", "cd34")[number])
            rows.append({"participant": p, "visit": f"W{w}", "path": f"scores/{p}/W{w}"})
    return rows


@pytest.fixture
def files(tmp_path: Path) -> Files:
    folder = tmp_path / "data"
    folder.mkdir()
    people = ("P001", "P002")
    rows = [
        visit_row(p, w, item=5 if w == 0 else 0, crp_mg_l=12.5 if w == 0 else 0.4) for p in people for w in (0, 12, 24)
    ]
    readings = [
        {
            "participant": p,
            "visit": f"W{w}",
            "reader": r,
            "total": 10 if w == 0 else n,
            "locked": 1,
            "asas_positive": int(w == 0),
        }
        for p in people
        for w in (0, 12, 24)
        for n, r in enumerate(("R1", "R2"))
    ]
    return Files(
        folder,
        write_csv(folder / "participants.csv", [participant_row(p) for p in people]),
        write_csv(folder / "visits.csv", rows),
        write_csv(folder / "readings.csv", readings),
        write_csv(folder / "manifest.csv", _scores(folder, people)),
        write_csv(
            folder / "allocation.csv", [{"participant": p, "arm": arm} for p, arm in zip(people, ARMS, strict=True)]
        ),
        write_csv(
            folder / "dosing.csv",
            [{"participant": "P001", "visit": f"W{12 * step}", "dose_step": step} for step in (0, 1)],
        ),
    )
