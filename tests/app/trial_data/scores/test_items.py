"""Items of readings: they agree with the totals or do not count, and readers are compared quadrant by quadrant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.scores.readings import read_items, read_readings
from sparcc_pipeline.trial.agreement.pairs import PairKind, quadrant_pairs
from sparcc_pipeline.trial.items import ITEMS, ITEMS_OF_A_READING, ItemPlace, ItemReading
from sparcc_pipeline.trial.records import QueryKind

from ....trial.builders import protocol
from ..conftest import Call, Files, score_folder, write_csv

FIRST_SLICE = 4
PLACES = [(k, side, item) for k in range(6) for side in ("right", "left") for item in ITEMS]


def item_rows(total: int, reader: str = "R1", **more: Any) -> list[dict[str, Any]]:
    """The 72 items of a reading of P001 at W0, the first `total` of them positive."""
    return [
        {
            "participant": "P001",
            "visit": "W0",
            "reader": reader,
            "kind": "primary",
            "repeat": 1,
            "slice": k + 1,
            "slice_index": FIRST_SLICE + k,
            "joint": side,
            "item": item,
            "value": int(number < total),
            "reason": "",
            **more,
        }
        for number, (k, side, item) in enumerate(PLACES)
    ]


def read(
    folder: Path, rows: list[dict[str, Any]], totals: dict[str, float | None]
) -> tuple[list[ItemReading], Queries]:
    queries, people = Queries(), ("P001", "P002")
    readings = [{"participant": "P001", "visit": "W0", "reader": r, "total": t, "locked": 1} for r, t in totals.items()]
    known = read_readings([write_csv(folder / "readings.csv", readings)], people, protocol(), queries)
    return read_items([write_csv(folder / "items.csv", rows)], known, people, protocol(), queries), queries


def test_the_items_of_a_reading_are_its_total(tmp_path: Path) -> None:
    (items,), queries = read(tmp_path, item_rows(7), {"R1": 7})

    assert queries == []
    assert (items.total, len(items.points), items.whole) == (7, ITEMS_OF_A_READING, True)
    assert items.points[ItemPlace(FIRST_SLICE, Side.RIGHT, "upper_iliac")] == 1
    assert items.points[ItemPlace(FIRST_SLICE + 5, Side.LEFT, "deep")] == 0


def test_not_evaluable_is_no_0_and_a_revised_reading_never_counts(tmp_path: Path) -> None:
    rows = item_rows(3)
    rows[70] |= {"value": "", "reason": "blurred"}
    (items,), queries = read(tmp_path, [*rows, *item_rows(9, kind="revised")], {"R1": 3})

    assert queries == []
    assert items.points[ItemPlace(FIRST_SLICE + 5, Side.LEFT, "intense")] is None


def _twice(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*rows, rows[5]]


@pytest.mark.parametrize(
    ("rows", "kind", "row", "column", "counts"),
    [
        (item_rows(8), QueryKind.IMPLAUSIBLE, 2, "value", False),
        (item_rows(7)[:-1], QueryKind.MISSING, 2, "item", True),
        (item_rows(8)[:-1], QueryKind.IMPLAUSIBLE, 2, "value", False),
        (_twice(item_rows(7)), QueryKind.DUPLICATE, 74, "item", False),
        (item_rows(7, reader="R9"), QueryKind.MISSING, 2, "reader", False),
        (item_rows(7, participant="P099"), QueryKind.UNKNOWN_PARTICIPANT, 2, "participant", False),
        (item_rows(7, visit="W7"), QueryKind.UNKNOWN_VISIT, 2, "visit", False),
    ],
    ids=["other total", "one missing", "too many", "twice", "no reading", "unknown participant", "unknown visit"],
)
def test_what_is_wrong_with_a_reading_is_asked_with_its_row(
    tmp_path: Path, rows: list[dict[str, Any]], kind: QueryKind, row: int, column: str, counts: bool
) -> None:
    items, queries = read(tmp_path, rows, {"R1": 7})

    assert (kind, row, column) in [(q.kind, q.row, q.column) for q in queries]
    assert len(items) == counts


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("joint", "top", QueryKind.NOT_ALLOWED),
        ("item", "quadrant 1", QueryKind.NOT_ALLOWED),
        ("value", 2, QueryKind.OUT_OF_RANGE),
        ("slice_index", -1, QueryKind.OUT_OF_RANGE),
    ],
)
def test_a_cell_that_is_wrong_is_left_out_and_named(tmp_path: Path, name: str, value: object, kind: QueryKind) -> None:
    rows = item_rows(0)
    rows[3] |= {name: value}
    (items,), queries = read(tmp_path, rows, {"R1": 0})

    assert (queries[0].kind, queries[0].row, queries[0].column) == (kind, 5, name)
    assert len(items.points) == ITEMS_OF_A_READING - 1


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    rows = item_rows(7)
    csv_items, _ = read(tmp_path, rows, {"R1": 7})
    typed = [{**row, "value": bool(row["value"])} for row in rows]
    pq.write_table(pa.Table.from_pylist(typed), tmp_path / "items.parquet")
    readings = read_readings([tmp_path / "readings.csv"], ["P001"], protocol(), Queries())

    assert read_items([tmp_path / "items.parquet"], readings, ["P001"], protocol(), Queries()) == csv_items


def _reading(reader: str | None, edema: int, first_slice: int = FIRST_SLICE, **more: Any) -> ItemReading:
    points = {
        ItemPlace(first_slice + k, Side(side), item): int(number < edema)
        for number, (k, side, item) in enumerate(PLACES)
    }
    return ItemReading("P001", "W0", reader, points, **more)


def test_who_is_compared_with_whom() -> None:
    readings = [
        _reading("R1", 8),
        _reading("R1", 8, repeat=2),
        _reading("R2", 9),
        _reading("R3", 40, adjudicator=True),
        _reading(None, 0),
    ]
    found = {(pairs.kind, pairs.first_name, pairs.second_name): pairs for pairs in quadrant_pairs(readings)}

    assert set(found) == {
        (PairKind.BETWEEN, "R1", "R2"),
        (PairKind.WITHIN, "R1", "R1"),
        (PairKind.MACHINE, "R1", ""),
        (PairKind.MACHINE, "R2", ""),
    }
    same = found[PairKind.WITHIN, "R1", "R1"].agreement(1)
    assert same is not None and same.kappa is not None and same.kappa.value == 1.0
    assert (same.quadrants, same.first_positive) == (48, 6)
    machine = found[PairKind.MACHINE, "R1", ""].agreement(1)
    assert machine is not None and machine.second_positive == 0
    assert machine.adjusted.value == pytest.approx(0.75)


def test_quadrants_are_compared_on_the_same_slice_of_the_series() -> None:
    (pairs,) = quadrant_pairs([_reading("R1", 0), _reading("R2", 0, first_slice=FIRST_SLICE + 1)])

    assert (len(pairs.first), pairs.apart) == (5 * 8, 2 * 8)


def test_the_report_shows_quadrants_of_readers_and_machine(
    files: Files, made_protocol: Path, trial: Call, tmp_path: Path
) -> None:
    joints = [
        {"slice": k, "side": side, "edema": dict.fromkeys(ITEMS[:4], 0), "intense": 0, "deep": 0}
        for k in range(6)
        for side in ("right", "left")
    ]
    slices = [{"slice_index": FIRST_SLICE + k} for k in range(6)]
    score_folder(files.folder / "machine", total=0, joints=joints, slices=slices)
    write_csv(files.manifest, [{"participant": "P001", "visit": "W0", "path": "machine"}])
    rows = [*item_rows(10), *item_rows(10, reader="R2")]
    items = write_csv(files.folder / "items.csv", rows)
    given = [
        files.participants,
        files.visits,
        "--readings",
        files.readings,
        "--items",
        items,
        "--scores",
        files.manifest,
    ]

    assert trial("report", *given, "--protocol", made_protocol, "--out", tmp_path / "report").code == 0
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "R1 – R2: reader against reader" in page and "R2: machine against reader" in page
    assert trial("import", *given, "--out", tmp_path / "tables").code == 0
    table = (tmp_path / "tables" / "items.csv").read_text(encoding="utf-8").splitlines()
    assert len(table) == 1 + 3 * ITEMS_OF_A_READING and table[-1].startswith("P001,W0,machine,")
