"""Adjust the p values of several primary estimands, so that their common error stays at the level of the protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparcc_pipeline.trial.protocol.analysis import AnalysisPlan, Multiplicity


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the adjusted p values of the step-down procedure. Source: [Holm1979].

    Examples
    --------
    >>> [round(p, 4) for p in holm([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, k in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[k]))
        adjusted[k] = largest
    return adjusted


def in_order(p_values: Sequence[float]) -> list[float]:
    """Return the adjusted p values of tests in a fixed order: each at the full level while all before it succeed.

    Examples
    --------
    >>> in_order([0.01, 0.2, 0.03])
    [0.01, 0.2, 0.2]
    """
    return [max(p_values[: k + 1]) for k in range(len(p_values))]


def adjusted(p_values: Mapping[str, float], plan: AnalysisPlan) -> dict[str, float]:
    """Return the adjusted p value of each primary estimand, by its name.

    An estimand without a p value (not estimable) cannot succeed: it counts as 1, so no later test of a fixed order can
    succeed either.
    """
    if plan.multiplicity is Multiplicity.HIERARCHICAL:
        names = list(plan.order)
        return dict(zip(names, in_order([p_values.get(name, 1.0) for name in names]), strict=True))
    names = [each.name for each in plan.primary]
    return dict(zip(names, holm([p_values.get(name, 1.0) for name in names]), strict=True))
