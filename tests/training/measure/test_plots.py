"""The pictures of a retest and a stress test show every figure, at its place."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from sparcc_pipeline.training.measure.plots import draw_retest, draw_stress, retest_svg, stress_svg


def retest(agreement: dict[str, float] | None, **totals: list[int]) -> dict[str, Any]:
    """Figures of a retest; every baseline has a total of 10."""
    return {
        "scans": {name: {"baseline": {"total": 10}, "matched": {"totals": each}} for name, each in totals.items()},
        "over_all": {"matched": {"agreement": agreement}},
    }


RETEST = retest({"lower": -1.56, "mean": 0.4, "upper": 2.36}, A=[9, 13, 13], C=[10, 11])

STRESS = {
    "scans": {"A": {}, "C": {}},
    "distortions": [{"name": "half", "words": "half of <it>"}, {"name": "none", "words": "none of it"}],
    "rows": [
        {"scan": "A", "distortion": "half", "change": -3},
        {"scan": "A", "distortion": "none", "change": None},
        {"scan": "C", "distortion": "half", "change": 9},
        {"scan": "C", "distortion": "none", "change": 0},
    ],
}


def dots(axes: Axes) -> dict[str, list[tuple[float, float, float]]]:
    """(x, y, area) of the dots of each scan."""
    found = {}
    for each in axes.collections:
        if isinstance(each, PathCollection):
            offsets = np.asarray(each.get_offsets())
            areas = np.broadcast_to(each.get_sizes(), len(offsets))
            found[str(each.get_label())] = [
                (float(x), float(y), float(a)) for (x, y), a in zip(offsets, areas, strict=True)
            ]
    return found


def within(axes: Axes) -> bool:
    """True if every dot is inside the axes."""
    (left, right), (low, high) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
    return all(left < x < right and low < y < high for each in dots(axes).values() for x, y, _ in each)


def words(svg: str) -> set[str | None]:
    return {each.text for each in ElementTree.fromstring(svg).iter() if each.tag.endswith("}text")}


def test_a_retest_shows_every_repeat() -> None:
    axes = Figure().subplots()
    draw_retest(axes, RETEST, "matched")
    found = dots(axes)
    once = found["C"][0][2]

    assert found["A"] == [(9.5, -1.0, once), (11.5, 3.0, 2 * once)], "twice the area for two repeats"
    assert [dot[:2] for dot in found["C"]] == [(10.0, 0.0), (10.5, 1.0)]
    assert within(axes)
    assert {"lower limit -1.6", "mean +0.4", "upper limit +2.4", "A", "C"} <= words(retest_svg(RETEST))


def test_a_retest_without_repeats_is_still_a_picture() -> None:
    axes = Figure().subplots()
    empty = retest(None, A=[])
    draw_retest(axes, empty, "matched")

    assert dots(axes) == {"A": []}
    assert "A" in words(retest_svg(empty))


def test_a_stress_test_shows_every_scan_and_distortion() -> None:
    axes = Figure().subplots()
    draw_stress(axes, STRESS)
    found = dots(axes)
    crosses = {
        line.get_color(): np.asarray(line.get_ydata()).tolist() for line in axes.lines if line.get_marker() == "x"
    }

    assert [x for x, _, _ in found["A"]] == [-3.0]
    assert [x for x, _, _ in found["C"]] == [9.0, 0.0]
    assert [round(y) for _, y, _ in found["C"]] == [0, 1]
    assert found["A"][0][1] != found["C"][0][1], "dots of two scans do not hide each other"
    assert sorted(crosses.values()) == [[], [1]], "one scan has no score of the second distortion"
    assert within(axes)
    assert {"half of <it>", "none of it", "A", "C"} <= words(stress_svg(STRESS))


@pytest.mark.parametrize("draw", [lambda: retest_svg(RETEST), lambda: stress_svg(STRESS)])
def test_equal_figures_give_equal_bytes(draw: Any) -> None:
    assert draw() == draw()
