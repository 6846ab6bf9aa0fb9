"""Tables and picture of a retest show the figures they were given."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from sparcc_pipeline.training.measure.retest_report import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    retest_markdown,
    retest_svg,
)

SVG = "{http://www.w3.org/2000/svg}"


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


def test_the_picture_places_every_repeat() -> None:
    root = ElementTree.fromstring(retest_svg(result()))
    dots = {
        dot[0].text: (float(dot.attrib["cx"]), float(dot.attrib["cy"]), float(dot.attrib["r"]))
        for dot in root.iter(f"{SVG}circle")
        if len(dot)
    }

    assert set(dots) == {"A & B: -1, 1 repeats", "A & B: +3, 2 repeats", "C: +0, 1 repeats", "C: +1, 1 repeats"}
    zero, one, minus = dots["C: +0, 1 repeats"], dots["C: +1, 1 repeats"], dots["A & B: -1, 1 repeats"]
    twice = dots["A & B: +3, 2 repeats"]
    # Up is more, right is a higher mean, and a dot for two repeats has twice the area.
    assert twice[1] < one[1] < zero[1] < minus[1]
    assert abs((zero[1] - one[1]) - (minus[1] - zero[1])) < 0.2
    assert minus[0] < zero[0] < one[0] < twice[0]
    assert abs(twice[2] ** 2 / one[2] ** 2 - 2) < 0.1
    for x, y, _ in dots.values():
        assert LEFT <= x <= WIDTH - RIGHT
        assert TOP <= y <= HEIGHT - BOTTOM
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert {"lower limit -1.6", "mean +0.4", "upper limit +2.4", "A & B", "C"} <= set(words)


def test_the_picture_without_repeats_is_still_one() -> None:
    empty = result()
    for row in empty["scans"].values():
        row["matched"]["totals"] = []
    empty["over_all"]["matched"]["agreement"] = None

    assert not [dot for dot in ElementTree.fromstring(retest_svg(empty)).iter(f"{SVG}circle") if len(dot)]
