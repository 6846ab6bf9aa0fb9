"""`sparcc trial structural`: agreement of each lesion, from the table that the reading page exports."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from sparcc_pipeline.app.reader.structural.tables import STRUCTURAL_COLUMNS
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.app.trial_data.structural import read_structural, run_structural
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.trial.structural import Lesion


def write(file: Path, **changed: str) -> Path:
    """Write readings of two readers: equal for erosion, far apart for fat; `changed` replaces cells of the last row."""
    random = np.random.default_rng(2)
    baseline = load_protocol(None).baseline.visit
    rows = []
    for number in range(12):
        for visit in (baseline, "W24"):
            erosion = int(random.integers(0, 40))
            for reader in ("R1", "R2"):
                row = dict.fromkeys((column.name for column in STRUCTURAL_COLUMNS), "0")
                row |= {"participant": f"P{number}", "visit": visit, "reader": reader, "repeat": "1"}
                row |= {"adjudicator": "false", "erosion": str(erosion), "fat": str(int(random.integers(0, 40)))}
                row |= {"backfill": "", "ankylosis": str(erosion // 2)}
                rows.append(row)
    rows[-1] |= changed
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def test_each_lesion_has_its_agreement_of_status_and_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_structural([write(tmp_path / "structural.csv")], None, tmp_path / "out", force=False)
    rows = list(csv.DictReader((tmp_path / "out" / "structural_agreement.csv").read_text().splitlines()))
    found = {(row["lesion"], row["measure"]): row for row in rows}
    assert set(found) == {
        (name, what) for name in ("fat", "erosion", "ankylosis") for what in ("status", "change since baseline")
    }
    assert float(found["erosion", "status"]["icc_agreement"]) == pytest.approx(1.0)
    assert float(found["erosion", "change since baseline"]["icc_agreement"]) == pytest.approx(1.0)
    assert float(found["fat", "status"]["icc_agreement"]) < 0.5
    assert "erosion, status, R1 and R2: ICC 1.00 from 24 pairs" in capsys.readouterr().out


@pytest.mark.parametrize("changed", [{"fat": "41"}, {"backfill": "21"}, {"erosion": "many"}, {"repeat": ""}])
def test_a_value_outside_its_range_is_an_error(tmp_path: Path, changed: dict[str, str]) -> None:
    with pytest.raises(InputError, match="row 49"):
        read_structural([write(tmp_path / "structural.csv", **changed)])


def test_the_ranges_are_those_of_the_score() -> None:
    assert [lesion.largest for lesion in Lesion] == [40, 40, 20, 20]
