"""Work on each slice of a stack: one after the other, or on several threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

ForEachSlice = Callable[[Callable[[int], None], range], None]
"""Calls a function with each slice_index."""


def one_by_one(work: Callable[[int], None], slices: range) -> None:
    """Work on one slice after the other."""
    for slice_index in slices:
        work(slice_index)


def on_threads(callers: int) -> ForEachSlice:
    """Return a function that works on up to `callers` slices at one time, each on a thread."""

    def for_each(work: Callable[[int], None], slices: range) -> None:
        with ThreadPoolExecutor(callers) as pool:
            for _ in pool.map(work, slices):
                pass  # raises the error of `work`

    return one_by_one if callers == 1 else for_each
