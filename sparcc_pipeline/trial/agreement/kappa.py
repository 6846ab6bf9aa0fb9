"""How well two readings, or a reading and the machine, agree on points and categories: kappa.

Sources: Cohen 1960, doi 10.1177/001316446002000104; weighted, Cohen 1968, doi 10.1037/h0026256; adjusted for prevalence
and bias, Byrt et al. 1993, doi 10.1016/0895-4356(93)90018-V.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatVector = NDArray[np.float64]


def kappa_of_table(table: ArrayLike, disagreement: ArrayLike) -> float:
    """1 - observed / expected disagreement (Cohen 1968); NaN where no disagreement is expected by chance.

    Parameters
    ----------
    table : (categories, categories), how often the first rater said the row and the second the column
    disagreement : (categories, categories), weight of each cell, 0 on the diagonal

    Raises
    ------
    ValueError : the shapes differ, or the table is empty
    """
    counts, weight = np.asarray(table, dtype=float), np.asarray(disagreement, dtype=float)
    if counts.shape != weight.shape or counts.ndim != 2 or counts.sum() <= 0:
        raise ValueError(f"expected counts and weights of one square shape, found {counts.shape} and {weight.shape}")
    share = counts / counts.sum()
    expected = float((np.outer(share.sum(axis=1), share.sum(axis=0)) * weight).sum())
    return 1 - float((share * weight).sum()) / expected if expected > 0 else float("nan")


def weighted_kappa(a: ArrayLike, b: ArrayLike, weights: Literal["linear", "quadratic"] = "quadratic") -> float:
    """Agreement beyond chance of two series of ordered whole numbers; a near miss counts less. NaN as `kappa_of_table`.

    Raises
    ------
    ValueError : the series are empty or differ in length
    """
    table, values = _table(a, b)
    distance = np.abs(values[:, None] - values[None, :])
    return kappa_of_table(table, distance if weights == "linear" else distance**2)


def cohen_kappa(a: ArrayLike, b: ArrayLike) -> float:
    """Agreement of two series of categories beyond chance (Cohen 1960); NaN where chance explains all.

    Raises
    ------
    ValueError : the series are empty or differ in length
    """
    table, values = _table(a, b)
    return kappa_of_table(table, 1 - np.eye(len(values)))


def pabak(table: ArrayLike) -> float:
    """Kappa adjusted for prevalence and bias: twice the share that agrees, less 1.

    Source: Byrt et al. 1993. Quadrants without edema are many: there kappa falls although readers agree.

    Parameters
    ----------
    table : (2, 2), how often the first rater said the row and the second the column
    """
    counts = np.asarray(table, dtype=float)
    return 2 * float(np.trace(counts) / counts.sum()) - 1


def _paired(a: ArrayLike, b: ArrayLike) -> tuple[FloatVector, FloatVector]:
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise ValueError(f"expected two series of one length, found shapes {first.shape} and {second.shape}")
    return first, second


def _table(a: ArrayLike, b: ArrayLike) -> tuple[FloatVector, FloatVector]:
    """How often each pair of values occurs, and the values."""
    first, second = _paired(a, b)
    values, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    cells = codes[: first.size] * values.size + codes[first.size :]
    counts = np.bincount(cells, minlength=values.size**2).reshape(values.size, values.size)
    return counts.astype(float), values
