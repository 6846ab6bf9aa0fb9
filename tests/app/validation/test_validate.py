"""`sparcc validate`: planted faults are found, the aggregates identify nobody, bad input is reported."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.app.cli import main as cli
from sparcc_pipeline.app.validation.aggregate import SMALLEST_CELL

from ..trial_data.conftest import write_csv
from .made_up import Drawn, Hospital, draw

Sparcc = Callable[..., int]

GENEROUS = {"Wang": 0.0, "Li": 0.0, "Zhao": 1.4}
TWO = (
    Hospital("Urumqi", people=24, seed=1),
    Hospital("Kashgar", people=24, seed=2, readers=GENEROUS, shift=-1.5, model="Skyra", field_t=3.0),
)


@pytest.fixture
def sparcc(monkeypatch: pytest.MonkeyPatch) -> Sparcc:
    """Call `sparcc` in this process and return its exit code."""

    def call(*arguments: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", ["sparcc", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as end:
            assert isinstance(end.code or 0, int)
            return int(end.code or 0)
        return 0

    return call


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Drawn]]:
    """Two made-up sites; the second has another contrast and a generous third reader."""
    folder = tmp_path_factory.mktemp("two")
    drawn = draw(folder, *TWO)
    drawn.write(folder)
    yield folder, drawn


def validate(sparcc: Sparcc, folder: Path, out: Path, *more: str) -> int:
    return sparcc(
        "validate", "--studies", folder / "studies.csv", "--readings", folder / "items.csv", "--out", out, *more
    )


def queries_of(out: Path) -> list[dict[str, str]]:
    with (out / "queries.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def aggregates(out: Path) -> dict[str, Any]:
    content = json.loads((out / "validation.json").read_text())
    assert isinstance(content, dict)
    return content


def test_the_planted_bias_and_the_planted_scanner_are_found(
    sparcc: Sparcc, two: tuple[Path, Drawn], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert validate(sparcc, two[0], tmp_path / "out") == 0

    found = [line for line in capsys.readouterr().out.splitlines() if line.startswith("finding")]
    assert any("the machine's totals are -" in line for line in found)
    assert any("reader Zhao is +" in line for line in found)
    assert any("scanner Siemens Skyra: machine minus reading is -" in line for line in found)
    assert any("site Kashgar: machine minus reading is -" in line for line in found)
    assert not any("Aera" in line or "Urumqi" in line or "Wang" in line for line in found)


def test_without_a_planted_fault_nothing_stands_out(
    sparcc: Sparcc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path, Hospital("S1", people=30, seed=5, shift=0.4)).write(tmp_path)

    assert validate(sparcc, tmp_path, tmp_path / "out") == 0

    assert "finding: scanner" not in capsys.readouterr().out
    assert "finding: reader" not in capsys.readouterr().out


def test_the_aggregates_hold_no_identifier_of_the_input(
    sparcc: Sparcc, two: tuple[Path, Drawn], tmp_path: Path
) -> None:
    folder, drawn = two
    assert validate(sparcc, folder, tmp_path / "out") == 0
    text = (tmp_path / "out" / "validation.json").read_text()

    identifiers = {str(folder), folder.name, "2026", "ab12", "studies.csv", "items.csv"}
    for row in drawn.studies:
        identifiers |= {row["participant"], row["path"], row["site"], row["visit"]}
        document = json.loads((folder / row["path"] / "score.json").read_text())
        identifiers |= {document["study_uid"], document["series_uid"], document["provenance"]["input"]["sha256"]}
        identifiers |= {each["sop_instance_uid"] for each in document["slices"]}
    identifiers |= {row["reader"] for row in drawn.items}
    identifiers |= {row["site"] for row in drawn.studies}
    assert len(identifiers) > 300
    assert [each for each in identifiers if f'"{each}"' in text or (len(each) > 3 and each in text)] == []
    # Its report has them: the search above can fail.
    report = (tmp_path / "out" / "report.html").read_text()
    assert "Kashgar" in report and "Zhao" in report


def test_small_cells_are_suppressed(sparcc: Sparcc, tmp_path: Path) -> None:
    few = Hospital("S2", people=SMALLEST_CELL - 1, seed=4, model="Vida")
    draw(tmp_path, Hospital("S1", people=12, seed=3), few).write(tmp_path)
    assert validate(sparcc, tmp_path, tmp_path / "out") == 0

    found = aggregates(tmp_path / "out")
    scanners = [each for each in found["groups"] if each["by"] == "scanner"]
    assert [each.get("suppressed") for each in scanners] == [None, True] and scanners[1]["group"] is None
    assert "Vida" not in json.dumps(found)
    for row in found["items"]:
        counts = row.get("both_first_second_neither")
        assert counts is None or all(count == 0 or count >= SMALLEST_CELL for count in counts)


def test_with_few_people_the_report_warns(sparcc: Sparcc, tmp_path: Path) -> None:
    draw(tmp_path, Hospital("S1", people=8, seed=3)).write(tmp_path)
    assert validate(sparcc, tmp_path, tmp_path / "out") == 0

    assert "With 8 people no interval is narrow" in (tmp_path / "out" / "report.html").read_text()


def test_the_report_is_chinese_and_a_pdf_if_asked_for(sparcc: Sparcc, tmp_path: Path) -> None:
    draw(tmp_path, Hospital("S1", people=8, seed=3)).write(tmp_path)
    assert validate(sparcc, tmp_path, tmp_path / "out", "--lang", "zh", "--pdf") == 0

    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "验证报告" in page and "Validation report" not in page
    assert (tmp_path / "out" / "report.pdf").read_bytes().startswith(b"%PDF")


def test_bad_input_is_reported_and_left_out(sparcc: Sparcc, tmp_path: Path) -> None:
    drawn = draw(tmp_path, Hospital("S1", people=14, seed=3))
    people = [row["participant"] for row in drawn.studies]
    # One reader under two names.
    drawn.items += [{**row, "reader": "Chen"} for row in drawn.items if row["reader"] == "Wang"]
    # Readings of other slices, of slices that the series lacks, and without a study.
    for row in drawn.items:
        if row["participant"] == people[0]:
            row["slice_index"] += 8
        if row["participant"] == people[1]:
            row["slice_index"] += 15
        if row["participant"] == people[2]:
            row["participant"] = "S9-001"
    # A study twice, and the same images under two numbers.
    drawn.studies.append(dict(drawn.studies[3]))
    drawn.studies[5]["path"] = drawn.studies[4]["path"]
    # Readings changed after the second opinion.
    drawn.items += [{**row, "kind": "revised"} for row in drawn.items if row["participant"] == people[6]]
    drawn.write(tmp_path)

    assert validate(sparcc, tmp_path, tmp_path / "out") == 0

    found = " | ".join(f"{row['expected']} / {row['found']}" for row in queries_of(tmp_path / "out"))
    assert "readers who read apart / Wang with every point of Chen" in found
    assert "none of them among the machine's 4-9" in found
    assert "slice 24 of a series of 20" in found
    assert "a scored study of each reading / none" in found and "a reading of each study / none" in found
    assert "each study once / more than one study of W0" in found
    assert "each study once / the same images in another row" in found
    assert "changed after the second opinion" in found
    # 14 people, without the six whose studies or readings do not count.
    assert aggregates(tmp_path / "out")["people"] == 8
    assert aggregates(tmp_path / "out")["readers"] == 2


def test_a_copy_of_the_machine_is_no_reader(sparcc: Sparcc, tmp_path: Path) -> None:
    drawn = draw(tmp_path, Hospital("S1", people=8, seed=3))
    for row in drawn.studies:
        document = json.loads((tmp_path / row["path"] / "score.json").read_text())
        for joint in document["joints"]:
            for item, value in {**joint["edema"], "intense": joint["intense"], "deep": joint["deep"]}.items():
                copied = {"participant": row["participant"], "visit": "W0", "reader": "Copy", "item": item}
                drawn.items.append(
                    {**copied, "slice_index": 4 + joint["slice"], "joint": joint["side"], "value": value, "repeat": 1}
                )
    drawn.write(tmp_path)

    assert validate(sparcc, tmp_path, tmp_path / "out") == 0

    assert any("every point of the machine" in row["found"] for row in queries_of(tmp_path / "out"))
    assert aggregates(tmp_path / "out")["readers"] == 2


def test_totals_alone_count_and_are_reported(sparcc: Sparcc, tmp_path: Path) -> None:
    drawn = draw(tmp_path, Hospital("S1", people=8, seed=3))
    drawn.write(tmp_path)
    totals = write_csv(tmp_path / "totals.csv", drawn.totals)

    code = sparcc("validate", "--studies", tmp_path / "studies.csv", "--readings", totals, "--out", tmp_path / "out")

    assert code == 0
    assert any("totals alone of 16 readings" in row["found"] for row in queries_of(tmp_path / "out"))
    found = aggregates(tmp_path / "out")
    assert found["items"] == [] and found["totals"][0]["pairs"] == 16


def test_items_that_contradict_their_total_do_not_count(sparcc: Sparcc, tmp_path: Path) -> None:
    drawn = draw(tmp_path, Hospital("S1", people=8, seed=3))
    drawn.totals[0]["total"] += 1
    drawn.write(tmp_path)
    totals = write_csv(tmp_path / "totals.csv", drawn.totals)

    assert validate(sparcc, tmp_path, tmp_path / "out", "--readings", str(totals)) == 0

    assert [row["kind"] for row in queries_of(tmp_path / "out")] == ["implausible", "missing"]


def test_a_table_of_revised_readings_is_refused(sparcc: Sparcc, tmp_path: Path) -> None:
    drawn = draw(tmp_path, Hospital("S1", people=8, seed=3))
    drawn.write(tmp_path)
    revised = write_csv(tmp_path / "readings_revised.csv", drawn.totals)

    assert validate(sparcc, tmp_path, tmp_path / "out", "--readings", str(revised)) == 0

    assert any("give the table of primary readings" in row["remedy"] for row in queries_of(tmp_path / "out"))


def test_too_few_studies_and_missing_options_are_refused(
    sparcc: Sparcc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path, Hospital("S1", people=2, seed=3)).write(tmp_path)

    assert validate(sparcc, tmp_path, tmp_path / "out") == 3
    assert "expected at least 3 studies with a score and a reading, found 2" in capsys.readouterr().err
    assert sparcc("validate", "--out", tmp_path / "other") == 2
    assert not (tmp_path / "out").exists()


def test_a_study_without_a_score_needs_a_folder_for_it(
    sparcc: Sparcc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = draw(tmp_path, Hospital("S1", people=4, seed=3))
    (tmp_path / "images").mkdir()
    drawn.studies[0]["path"] = "images"
    drawn.write(tmp_path)

    assert validate(sparcc, tmp_path, tmp_path / "out") == 2
    assert "add --scores DIR" in capsys.readouterr().err


def test_the_figures_of_three_sites_are_merged(
    sparcc: Sparcc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for number in range(3):
        folder = tmp_path / f"site{number}"
        folder.mkdir()
        draw(folder, Hospital(f"S{number}", people=15, seed=number, shift=-0.5 * number)).write(folder)
        assert validate(sparcc, folder, folder / f"hospital{number}") == 0
        files.append(folder / f"hospital{number}" / "validation.json")
    capsys.readouterr()

    assert sparcc("validate", "merge", *files, "--out", tmp_path / "merged") == 0

    assert "3 sites, 45 people" in capsys.readouterr().out
    rows = json.loads((tmp_path / "merged" / "merged.json").read_text())["figures"]
    bias = {row["site"]: row for row in rows if row["figure"] == "bias_machine"}
    assert set(bias) == {"hospital0", "hospital1", "hospital2", "all"}
    assert bias["hospital2"]["value"] < bias["all"]["value"] < bias["hospital0"]["value"]
    assert bias["all"]["between_sd"] > 0.5
    assert "hospital1" in (tmp_path / "merged" / "report.html").read_text()

    assert sparcc("validate", "merge", files[0], files[0], "--out", tmp_path / "twice") == 3
    assert "expected each site once" in capsys.readouterr().err
    assert sparcc("validate", "merge", files[0], tmp_path / "site1" / "items.csv", "--out", tmp_path / "other") == 3
