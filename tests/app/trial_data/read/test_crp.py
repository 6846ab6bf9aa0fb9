"""CRP below detection is never its limit; a wrong unit is found by site, by distribution and within a participant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.app.trial_data.read.clinical import Clinical, read_clinical
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.trial.assessment import instrument_results
from sparcc_pipeline.trial.instruments import Instrument

from ....trial.builders import protocol
from ..conftest import participant_row, visit_row, write_csv
from .clinical_files import only, read, read_rows, visit_of


def by_rule(folder: Path, cell: str, rule: str, column: str = "crp_mg_l") -> tuple[Clinical, Queries]:
    row = {key: value for key, value in visit_row().items() if key != "crp_mg_l"}
    queries = Queries()
    file = write_csv(folder / "v.csv", [{**row, column: cell}])
    return read_clinical([file], protocol({"instruments.crp_below_detection": rule}), queries), queries


@pytest.mark.parametrize("cell", ["<5", "< 5", "＜5", "<5.0"])
@pytest.mark.parametrize(("rule", "value"), [("missing", None), ("lowest", 2.0), ("half", 2.5)])
def test_less_than_five_is_never_five(tmp_path: Path, cell: str, rule: str, value: float | None) -> None:
    clinical, queries = by_rule(tmp_path, cell, rule)
    found = visit_of(clinical)

    assert (found.crp_mg_l, found.crp_limit_mg_l) == (value, 5.0)
    assert len(queries) == (rule == "missing")
    asdas = instrument_results(found, protocol())[Instrument.ASDAS_CRP].value
    assert (asdas is None) == (value is None)


@pytest.mark.parametrize("rule", ["missing", "lowest", "half"])
def test_a_limit_of_up_to_two_needs_no_rule(tmp_path: Path, rule: str) -> None:
    for cell, column in (("<0.5", "crp_mg_l"), ("<2", "crp_mg_l"), ("<0.2", "crp_mg_dl")):
        clinical, queries = by_rule(tmp_path, cell, rule, column)
        measured = read_rows(tmp_path, visit_row(crp_mg_l=0.1))[0]

        assert queries == []
        asdas = [instrument_results(visit_of(each), protocol())[Instrument.ASDAS_CRP] for each in (clinical, measured)]
        assert asdas[0].value == asdas[1].value


def _two_sites(folder: Path, first: list[float], second: list[float]) -> Queries:
    people, visits = [], []
    for site, values in (("S1", first), ("S2", second)):
        for number, value in enumerate(values):
            name = f"{site}{number:03d}"
            people.append(participant_row(name, site=site))
            visits.append(visit_row(name, crp_mg_l=value))
    return read(write_csv(folder / "p.csv", people), write_csv(folder / "v.csv", visits))[1]


MG_L = [3.0, 8, 12, 15, 20, 25, 31, 6, 9, 14, 18, 40]


def test_one_site_in_mg_dl_is_found(tmp_path: Path) -> None:
    query = only(_two_sites(tmp_path, MG_L, [value / 10 for value in MG_L]))

    assert "expected CRP of site S2 in the unit of the other sites" in query.message
    assert query.column == "crp_mg_l"


def test_sites_that_differ_threefold_raise_no_query(tmp_path: Path) -> None:
    assert _two_sites(tmp_path, MG_L, [value / 3 for value in MG_L]) == []


def test_a_limit_of_detection_entered_as_a_value_is_found(tmp_path: Path) -> None:
    query = only(_two_sites(tmp_path, MG_L, [5.0] * 6 + [8.0, 12, 15, 20, 25, 31]))

    assert "found 6 values of exactly 5, the lowest; write <5" in query.message


@pytest.mark.parametrize(("middle", "asked"), [(2.0, 1), (12.0, 0), (0.4, 0), (200.0, 0)])
def test_a_tenth_between_two_like_visits_is_found(tmp_path: Path, middle: float, asked: int) -> None:
    rows: list[dict[str, Any]] = [visit_row(week=w, crp_mg_l=v) for w, v in ((0, 20), (12, middle), (24, 18))]
    clinical, queries = read_rows(tmp_path, *rows)

    assert [query.visit for query in queries] == ["W12"] * asked
    assert visit_of(clinical, "W12").crp_mg_l == middle
