"""Work on each slice, on one thread or several."""

from __future__ import annotations

import pytest

from sparcc_pipeline.each_slice import on_threads


@pytest.mark.parametrize("callers", [1, 2, 5])
def test_each_slice_is_worked_on_once(callers: int) -> None:
    seen: list[int] = []

    on_threads(callers)(seen.append, range(3, 40))

    assert sorted(seen) == list(range(3, 40))


@pytest.mark.parametrize("callers", [1, 2])
def test_the_error_of_one_slice_reaches_the_caller(callers: int) -> None:
    def work(k: int) -> None:
        if k == 7:
            raise ValueError("slice 7")

    with pytest.raises(ValueError, match="slice 7"):
        on_threads(callers)(work, range(10))
