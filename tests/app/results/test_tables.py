"""Tables of results as CSV."""

from __future__ import annotations

from sparcc_pipeline.app.results.tables import rows_as_csv


def test_no_text_is_a_formula_of_a_spreadsheet_and_numbers_stay_numbers() -> None:
    rows = [{"a": text, "b": -1.5} for text in ("=HYPERLINK(1)", "+1", "-x", "@x", "-", "plain")]

    assert rows_as_csv(("a", "b"), rows).splitlines()[1:] == [
        *("'=HYPERLINK(1),-1.5", "'+1,-1.5", "'-x,-1.5", "'@x,-1.5", "-,-1.5", "plain,-1.5"),
    ]
