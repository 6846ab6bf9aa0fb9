"""Scores joined by a manifest and tables of readings: a score of another participant never counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.scores.imaging import named_by_manifest, read_scores
from sparcc_pipeline.app.trial_data.scores.readings import read_readings
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.trial.reading import MachineScore, Reading
from sparcc_pipeline.trial.records import DataQuery, QueryKind

from ....trial.builders import protocol
from ..conftest import score_folder, write_csv

PEOPLE = ("P001", "P002")


def scores_of(folder: Path, *lines: tuple[str, str, str]) -> tuple[list[MachineScore], list[DataQuery]]:
    manifest = write_csv(
        folder / "manifest.csv", [dict(zip(("participant", "visit", "path"), line, strict=True)) for line in lines]
    )
    queries = Queries()
    named = named_by_manifest(manifest, PEOPLE, protocol(), queries)
    return read_scores(named, protocol(), queries)[0], queries


def readings_of(folder: Path, *rows: dict[str, Any]) -> tuple[list[Reading], list[DataQuery]]:
    queries = Queries()
    full = [{"participant": "P001", "visit": "W0", "reader": "R1", "total": 5, "locked": 1, **row} for row in rows]
    return read_readings([write_csv(folder / "readings.csv", full)], PEOPLE, protocol(), queries), queries


def test_a_score_is_read_with_its_uncertainty_where_it_has_one(tmp_path: Path) -> None:
    score_folder(tmp_path / "a", total=3, expected=3.4, interval_90=[1, 6], probability_remission=0.2)
    score_folder(tmp_path / "b", total=0)
    (first, second), queries = scores_of(tmp_path, ("P001", "W0", "a"), ("P001", "W12", "b"))

    assert queries == []
    assert (first.total, first.expected, first.interval_90, first.probability_remission) == (3, 3.4, (1, 6), 0.2)
    assert (first.spacing_mm, first.model, first.evaluable_maximum) == (4.0, "m 1", 60)
    assert (second.total, second.expected, second.interval_90, second.probability_remission) == (0, None, None, None)


def test_a_study_that_could_not_be_scored_is_no_0(tmp_path: Path) -> None:
    nothing = {"asas_positive": None, "reference_signal": None, "chosen_by": None, "spacing_mm": None}
    score_folder(tmp_path / "a", total=None, status="unscorable", reason="not semicoronal", **nothing)
    (score,), queries = scores_of(tmp_path, ("P001", "W0", "a"))

    assert queries == []
    assert (score.total, score.reason) == (None, "not semicoronal")


@pytest.mark.parametrize(
    ("line", "kind", "column", "sentence"),
    [
        (("P009", "W0", "a"), QueryKind.UNKNOWN_PARTICIPANT, "participant", "add the participant"),
        (("P001", "W1", "a"), QueryKind.UNKNOWN_VISIT, "visit", "one of W0, W12"),
        (("P001", "W12", "none"), QueryKind.MISSING, "path", "score the study"),
        (("P001", "W12", "broken"), QueryKind.UNREADABLE, "path", "score the study again"),
        (("P001", "W12", "foreign"), QueryKind.UNREADABLE, "path", "score the study again"),
        (("P001", "W12", "P002/x"), QueryKind.WRONG_PERSON, "path", "found a folder of P002; correct participant"),
        (("P001", "W12", "custom"), QueryKind.NOT_ALLOWED, "path", "slices chosen by user"),
        (("P001", "W12", "csf"), QueryKind.NOT_ALLOWED, "path", "intensity against csf"),
    ],
)
def test_a_bad_line_is_a_query_and_the_others_count(
    tmp_path: Path, line: tuple[str, str, str], kind: QueryKind, column: str, sentence: str
) -> None:
    for name in ("good", "a", "P002/x"):
        score_folder(tmp_path / name)
    score_folder(tmp_path / "custom", chosen_by="user")
    score_folder(tmp_path / "csf", reference_signal={"kind": "csf", "value": 1.0})
    score_folder(tmp_path / "foreign", schema="other/1")
    score_folder(tmp_path / "broken")
    (tmp_path / "broken" / "score.json").write_text("{")
    scores, queries = scores_of(tmp_path, ("P001", "W0", "good"), line)

    assert [(q.kind, q.row, q.column) for q in queries] == [(kind, 3, column)]
    assert sentence in queries[0].message
    assert len(scores) == (2 if queries[0].left_out == "nothing" else 1)


def test_the_same_images_for_two_participants_count_for_none(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        score_folder(tmp_path / name, study_uid="1.2.3" if name != "c" else "1.2.4")
    scores, queries = scores_of(tmp_path, ("P001", "W0", "a"), ("P002", "W0", "b"), ("P001", "W12", "c"))

    assert [(q.kind, q.row) for q in queries] == [(QueryKind.WRONG_PERSON, 2), (QueryKind.WRONG_PERSON, 3)]
    assert "the same images in row 3, for another participant; correct the line that is wrong" in queries[0].message
    assert [(s.participant, s.visit) for s in scores] == [("P001", "W12")]


def test_one_folder_for_two_visits_counts_for_none(tmp_path: Path) -> None:
    score_folder(tmp_path / "a")
    scores, queries = scores_of(tmp_path, ("P001", "W0", "a"), ("P001", "W12", "a"))

    assert {(q.kind, q.row) for q in queries} == {(QueryKind.DUPLICATE, 2), (QueryKind.DUPLICATE, 3)}
    assert scores == []


def test_two_scores_of_one_visit_count_for_none(tmp_path: Path) -> None:
    for name in ("a", "b"):
        score_folder(tmp_path / name)
    scores, queries = scores_of(tmp_path, ("P001", "W0", "a"), ("P001", "week 0", "b"))

    assert [q.column for q in queries] == ["visit", "visit"]
    assert scores == []


@pytest.mark.parametrize(
    ("persons", "left"),
    [
        (("ab12", "ab12", "ff00"), ["W0", "W12"]),
        (("ab12", "ff00", None), ["W24"]),
        (("ab12", None, None), ["W0", "W12", "W24"]),
    ],
)
def test_images_of_another_person_do_not_count(
    tmp_path: Path, persons: tuple[str | None, ...], left: list[str]
) -> None:
    lines = []
    for week, person in zip((0, 12, 24), persons, strict=True):
        score_folder(tmp_path / f"w{week}", person=person)
        lines.append(("P001", f"W{week}", f"w{week}"))
    scores, queries = scores_of(tmp_path, *lines)

    assert [s.visit for s in scores] == left
    assert {q.kind for q in queries} <= {QueryKind.WRONG_PERSON}
    assert len(queries) == 3 - len(left)
    assert not any("ab12" in q.message or "ff00" in q.message for q in queries)


def test_readings_are_read(tmp_path: Path) -> None:
    found, queries = readings_of(
        tmp_path,
        {"asas_positive": 1},
        {"reader": "R2", "total": "", "locked": 0},
        {"reader": "ADJ", "adjudicator": "yes"},
        {"repeat": 2, "total": 6},
    )

    assert queries == []
    assert [(r.reader, r.total, r.locked, r.adjudicator, r.repeat) for r in found] == [
        ("R1", 5, True, False, 1),
        ("R2", None, False, False, 1),
        ("ADJ", 5, True, True, 1),
        ("R1", 6, True, False, 2),
    ]
    assert [r.asas_positive for r in found[:2]] == [True, None]


@pytest.mark.parametrize(
    ("change", "kind", "column"),
    [
        ({"total": 73}, QueryKind.OUT_OF_RANGE, "total"),
        ({"total": "high"}, QueryKind.NOT_A_NUMBER, "total"),
        ({"locked": "maybe"}, QueryKind.OUT_OF_RANGE, "locked"),
        ({"locked": ""}, QueryKind.MISSING, "locked"),
        ({"participant": "P009"}, QueryKind.UNKNOWN_PARTICIPANT, "participant"),
        ({"visit": "W7"}, QueryKind.UNKNOWN_VISIT, "visit"),
        ({"reader": "王医生"}, QueryKind.NOT_ALLOWED, "reader"),
    ],
)
def test_a_bad_reading_is_a_query_and_never_not_evaluable(
    tmp_path: Path, change: dict[str, Any], kind: QueryKind, column: str
) -> None:
    found, queries = readings_of(tmp_path, {"reader": "R2"}, change)

    assert [(q.kind, q.row, q.column) for q in queries] == [(kind, 3, column)]
    assert [r.reader for r in found] == ["R2"]


def test_two_readings_of_one_reader_count_for_none(tmp_path: Path) -> None:
    found, queries = readings_of(tmp_path, {}, {"total": 9}, {"reader": "R2"})

    assert [(q.kind, q.row) for q in queries] == [(QueryKind.DUPLICATE, 3)]
    assert [r.reader for r in found] == ["R2"]


def test_a_manifest_without_path_is_refused(tmp_path: Path) -> None:
    manifest = write_csv(tmp_path / "m.csv", [{"participant": "P001", "visit": "W0"}])

    with pytest.raises(InputError, match="a column 'path' in m.csv"):
        named_by_manifest(manifest, PEOPLE, protocol(), Queries())
