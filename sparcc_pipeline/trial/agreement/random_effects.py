"""Figures of several sites as one: random-effects meta-analysis.

Sites differ in scanners, readers and patients, so the true figure differs between them. The mean is weighted by the
variance within each site and between sites. Source: [DerSimonianLaird1986]; interval: [HartungKnapp2001].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from sparcc_pipeline.trial.agreement.measures import CONFIDENCE, NORMAL_95, Estimate, FloatVector

LARGEST_ICC = 0.9999
"""An ICC of 1 has no Fisher transform; it counts as this."""


@dataclass(frozen=True)
class RandomEffects:
    """A figure over several sites.

    Parameters
    ----------
    sites : their number
    mean : with its 95 % interval; no interval with one site
    between_sd : standard deviation of the true figure between sites, on the scale of the pooling
    i_squared : share of the variation that is between sites and not chance, 0..1
    """

    sites: int
    mean: Estimate
    between_sd: float
    i_squared: float


def random_effects(values: Sequence[float], variances: Sequence[float]) -> RandomEffects:
    """Return the mean of the sites' figures, which differ by chance and by site.

    Parameters
    ----------
    values, variances : figure of each site, and the variance of its error

    Raises
    ------
    ValueError : no site, or a variance that is not positive

    Examples
    --------
    Two sites that agree within their errors, and two that do not:

    >>> random_effects([1.0, 1.1], [0.04, 0.04]).between_sd
    0.0
    >>> round(random_effects([1.0, 3.0], [0.04, 0.04]).between_sd, 2)
    1.4
    """
    y, v = np.asarray(values, dtype=float), np.asarray(variances, dtype=float)
    if y.size == 0 or y.shape != v.shape or not (v > 0).all():
        raise ValueError(f"expected a figure and a positive variance for each site, found {y.size} and {v.size}")
    fixed = 1 / v
    spread = float((fixed * (y - np.average(y, weights=fixed)) ** 2).sum())
    freedom = y.size - 1
    scale = float(fixed.sum() - (fixed**2).sum() / fixed.sum())
    between = max(0.0, (spread - freedom) / scale) if freedom else 0.0
    weight = 1 / (v + between)
    mean = float(np.average(y, weights=weight))
    low, high = _interval(y, weight, mean)
    i_squared = max(0.0, 1 - freedom / spread) if spread > 0 else 0.0
    return RandomEffects(int(y.size), Estimate(mean, low, high), float(np.sqrt(between)), i_squared)


def _interval(y: FloatVector, weight: FloatVector, mean: float) -> tuple[float | None, float | None]:
    """The interval of Hartung and Knapp, never narrower than that of the weights alone."""
    freedom = y.size - 1
    if not freedom:
        return None, None
    scatter = max(1.0, float((weight * (y - mean) ** 2).sum() / freedom))
    half = float(special.stdtrit(freedom, 1 - (1 - CONFIDENCE) / 2)) * float(np.sqrt(scatter / weight.sum()))
    return mean - half, mean + half


def pooled_icc(found: Sequence[Estimate]) -> RandomEffects | None:
    """Return the ICC over several sites, pooled after Fisher's transform; None if no site has an interval.

    The variance of a site follows from its interval, which the bootstrap of its participants gave.
    """
    usable = [
        (_fisher(each.value), _fisher(each.low), _fisher(each.high))
        for each in found
        if each.low is not None and each.high is not None and each.high > each.low
    ]
    if not usable:
        return None
    z = [value for value, _, _ in usable]
    pooled = random_effects(z, [((high - low) / (2 * NORMAL_95)) ** 2 for _, low, high in usable])
    ends = [None if end is None else float(np.tanh(end)) for end in (pooled.mean.low, pooled.mean.high)]
    mean = Estimate(float(np.tanh(pooled.mean.value)), *ends)
    return RandomEffects(pooled.sites, mean, pooled.between_sd, pooled.i_squared)


def pooled_difference(found: Sequence[Estimate]) -> RandomEffects | None:
    """Return a mean difference over several sites; None if no site has an interval."""
    usable = [
        (each.value, each.low, each.high)
        for each in found
        if each.low is not None and each.high is not None and each.high > each.low
    ]
    if not usable:
        return None
    variances = [((high - low) / (2 * NORMAL_95)) ** 2 for _, low, high in usable]
    return random_effects([value for value, _, _ in usable], variances)


def _fisher(icc: float) -> float:
    return float(np.arctanh(np.clip(icc, -LARGEST_ICC, LARGEST_ICC)))
