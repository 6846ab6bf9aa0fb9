"""A table of items is read in little memory, and its cells stay as they are in the file."""

import tracemalloc
from pathlib import Path

from sparcc_pipeline.app.results.table_reader import RawRows, read_table
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.validation.material.readings import read_reading_tables
from sparcc_pipeline.trial.items import ITEMS_OF_A_READING

from ..trial_data.conftest import write_csv
from .made_up import Hospital, draw

LARGEST_BYTES_OF_A_ROW = 250
"""A row as a dict, held with its checked cells, took 1300."""


def test_a_table_of_items_takes_little_memory(tmp_path: Path) -> None:
    rows = draw(tmp_path, Hospital("S0", people=40)).items
    file = write_csv(tmp_path / "items.csv", rows)
    tracemalloc.start()
    try:
        tables = read_reading_tables([file], Queries())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(tables.items) * ITEMS_OF_A_READING == len(rows)
    assert peak < 1_000_000 + LARGEST_BYTES_OF_A_ROW * len(rows)


def test_equal_cells_of_different_types_stay_apart() -> None:
    rows = RawRows(["a", "b"])
    for number, cell in enumerate((1, 1.0, True, "1", None), start=2):
        rows.append(number, [cell, "same"])
    assert [(row.number, type(row.cells["a"])) for row in rows] == [
        (2, int),
        (3, float),
        (4, bool),
        (5, str),
        (6, type(None)),
    ]
    assert list(rows.values_of("b")) == ["same"]


def test_short_and_empty_lines_keep_the_numbers_of_rows(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("\n\na,,b\n1,x,2\n\n3\n")
    rows = read_table(file).rows
    assert [(row.number, row.cells) for row in rows] == [(4, {"a": "1", "b": "2"}), (6, {"a": "3", "b": None})]
