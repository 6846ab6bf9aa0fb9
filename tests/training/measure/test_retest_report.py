"""Tables of a retest show the figures they were given."""

from __future__ import annotations

from typing import Any

from sparcc_pipeline.training.measure.retest_report import retest_markdown


def figures(totals: list[int], failures: dict[str, str]) -> dict[str, Any]:
    choice = {
        "totals": totals,
        "mean_difference": 0.5,
        "sd": 1.25,
        "same_slices": 2,
        "largest_slices_off": 0.43,
        "failures": list(failures.values()),
    }
    return {
        "baseline": {"total": 10, "edema": 7, "intensity": 2, "depth": 1, "first_slice": 5},
        "repeats": [{"seed": 17, "failures": failures}, {"seed": 18, "failures": {}}, {"seed": 19, "failures": {}}],
        "matched": choice,
        "own": choice,
        "registration": {"mean_mm": 0.21, "largest_mm": 0.32, "mean_degrees": 0.13, "largest_degrees": 0.24},
    }


def result() -> dict[str, Any]:
    over_all = {
        "repeats": 6,
        "scored": 5,
        "same_slices": 4,
        "same_slices_share": 4 / 6,
        "agreement": {"mean": 0.4, "sd": 1.0, "lower": -1.56, "upper": 2.36},
        "sem": 1.0,
        "sdc": 2.77,
        "sem_low": None,
        "sdc_low": None,
        "largest_sd_low": None,
    }
    return {
        "scans": {"A & B": figures([9, 13, 13], {}), "C": figures([10, 11], {"matched": "nothing fits"})},
        "over_all": {"matched": over_all, "own": over_all},
        "goals": [{"name": "same", "value": 4 / 6, "goal": ">= 0.95", "reached": False}],
    }


def test_markdown_shows_totals_failures_and_goals() -> None:
    text = retest_markdown(result())

    assert "| same | 0.667 | >= 0.95 | **no** |" in text
    assert "| A & B | 10 (7 + 2 + 1) | 9, 13, 13 | +0.5 | 1.2 | 2 of 3 | 0.43 | 0 |" in text
    assert "limits of agreement -1.6 to +2.4" in text
    assert "smallest detectable change 2.8 over all scans" in text
    assert "over scans under" not in text
    assert "| C | 0.21 | 0.32 | 0.13 | 0.24 |" in text
    assert "- C, repeat 17 (matched slices): nothing fits" in text
