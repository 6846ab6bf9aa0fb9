"""Values by place in little memory."""

import sys

import pytest

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.validation.material.by_place import ByPlace, compact_by_place
from sparcc_pipeline.trial.items import ITEMS, ItemPlace

PLACES = [ItemPlace(k, side, item) for k in (9, 4) for side in Side for item in ITEMS]
POINTS = {place: (None, 0, 1)[n % 3] for n, place in enumerate(PLACES)}


def test_points_keep_their_values_their_order_and_none() -> None:
    found = compact_by_place(POINTS)
    assert list(found.items()) == list(POINTS.items())
    assert found == POINTS
    assert PLACES[0] in found
    assert ItemPlace(0, Side.LEFT, "deep") not in found


def test_probabilities_are_exact() -> None:
    values = {place: round(n / 37, 4) for n, place in enumerate(PLACES)}
    assert dict(compact_by_place(values)) == values


@pytest.mark.parametrize("value", [2, -1, 300, float("nan")])
def test_values_of_a_damaged_file_stay_as_they_are(value: float) -> None:
    values = {PLACES[0]: value}
    assert compact_by_place(values) is values


def test_points_take_little_memory() -> None:
    found = compact_by_place(POINTS)
    assert isinstance(found, ByPlace)
    assert sys.getsizeof(found) + sys.getsizeof(found._values) < sys.getsizeof(POINTS) / 4
