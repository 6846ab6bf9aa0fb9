"""Agreement of readings of points and categories: kappa."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatVector = NDArray[np.float64]


def kappa_of_table(table: ArrayLike, disagreement: ArrayLike) -> float:
    """Return 1 - observed / expected disagreement; NaN where chance expects no disagreement. Source: [Cohen1968].

    Parameters
    ----------
    table : (categories, categories), count of the cases that the first rater put in the row and the second in the
        column
    disagreement : (categories, categories), weight of each cell, 0 on the diagonal

    Raises
    ------
    ValueError : the shapes differ, or the table is empty

    Examples
    --------
    35 of 50 cases agree; chance expects 25:

    >>> round(kappa_of_table([[20, 5], [10, 15]], 1 - np.eye(2)), 2)
    0.4
    """
    counts, weight = np.asarray(table, dtype=float), np.asarray(disagreement, dtype=float)
    if counts.shape != weight.shape or counts.ndim != 2 or counts.sum() <= 0:
        raise ValueError(f"expected counts and weights of one square shape, found {counts.shape} and {weight.shape}")
    share = counts / counts.sum()
    expected = float((np.outer(share.sum(axis=1), share.sum(axis=0)) * weight).sum())
    return 1 - float((share * weight).sum()) / expected if expected > 0 else float("nan")


def weighted_kappa(a: ArrayLike, b: ArrayLike, weights: Literal["linear", "quadratic"] = "quadratic") -> float:
    """Return the agreement beyond chance of two series (n,) of ordered whole numbers; a small difference counts less.

    NaN where chance expects no disagreement. Source: [Cohen1968].

    Raises
    ------
    ValueError : the series are empty or differ in length

    Examples
    --------
    >>> round(weighted_kappa([0, 1, 2, 3], [0, 1, 3, 3]), 3)
    0.917
    >>> round(weighted_kappa([0, 1, 2, 3], [0, 1, 3, 3], "linear"), 3)
    0.818
    """
    if weights == "quadratic":
        return _quadratic_kappa(*_paired(a, b))
    table, values = _table(a, b)
    return kappa_of_table(table, np.abs(values[:, None] - values[None, :]))


def _quadratic_kappa(a: FloatVector, b: FloatVector) -> float:
    """Return `kappa_of_table` with squared distances, from moments: the bootstrap calls it a thousand times."""
    gap = a - b
    expected = float(a.var() + b.var() + gap.mean() ** 2)
    return 1 - float(gap @ gap) / gap.size / expected if expected > 0 else float("nan")


def cohen_kappa(a: ArrayLike, b: ArrayLike) -> float:
    """Return the agreement beyond chance of two series (n,) of categories; NaN where chance explains all.

    Source: [Cohen1960].

    Raises
    ------
    ValueError : the series are empty or differ in length

    Examples
    --------
    Eight quadrants read twice, two readings of edema in each, one of them in the same quadrant:

    >>> round(cohen_kappa([1, 1, 0, 0, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0, 0, 0]), 3)
    0.333
    """
    table, values = _table(a, b)
    return kappa_of_table(table, 1 - np.eye(len(values)))


def pabak(table: ArrayLike) -> float:
    """Return kappa adjusted for prevalence and bias: twice the share of agreement, minus 1. Source: [Byrt1993].

    Most quadrants have no edema, and kappa is then low although readers agree.

    Parameters
    ----------
    table : (2, 2), count of the cases that the first rater put in the row and the second in the column

    Examples
    --------
    94 of 100 quadrants agree:

    >>> round(pabak([[92, 3], [3, 2]]), 2)
    0.88
    """
    counts = np.asarray(table, dtype=float)
    return 2 * float(np.trace(counts) / counts.sum()) - 1


def _paired(a: ArrayLike, b: ArrayLike) -> tuple[FloatVector, FloatVector]:
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise ValueError(f"expected two series of one length, found shapes {first.shape} and {second.shape}")
    return first, second


def _table(a: ArrayLike, b: ArrayLike) -> tuple[FloatVector, FloatVector]:
    """Count of each pair of values (values, values), and the values."""
    first, second = _paired(a, b)
    values, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    cells = codes[: first.size] * values.size + codes[first.size :]
    counts = np.bincount(cells, minlength=values.size**2).reshape(values.size, values.size)
    return counts.astype(float), values
