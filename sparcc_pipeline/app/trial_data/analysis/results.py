"""Estimate every estimand: primary analysis, complete cases, tipping point, adjusted p values.

Contents: `analyse`. Missing values are imputed several times from baseline, arm, site and all visits of ASDAS and
SPARCC, and the estimates are pooled; a mixed model (MMRM) needs no imputation for its own estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sparcc_pipeline.app.trial_data.analysis import fits
from sparcc_pipeline.app.trial_data.analysis.fits import Fit, NotEstimableError
from sparcc_pipeline.app.trial_data.analysis.outcome import Counts, EstimandResult, Estimate, Tipping
from sparcc_pipeline.message import Message, words_of
from sparcc_pipeline.trial.estimand.analysis_set import MEASURED, AnalysisSet, Facts, analysis_set
from sparcc_pipeline.trial.estimand.imputation import impute, pool
from sparcc_pipeline.trial.estimand.multiplicity import adjusted
from sparcc_pipeline.trial.protocol.analysis import AnalysisPlan, Estimand, Hypothesis, Model, Summary, Variable
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.summary import Courses

Floats = NDArray[np.float64]
_T = TypeVar("_T")

TURNED: Final = tuple(round(0.1 * step, 1) for step in range(11))
"""Shares of the imputed answers of the dual target that are turned against the test arm, one after the other."""


def analyse(
    courses: Courses, facts: Facts, without_data: Mapping[str, int], protocol: Protocol
) -> tuple[EstimandResult, ...]:
    """Return the results of every estimand of the protocol.

    Parameters
    ----------
    without_data : number of people in the allocation who are in no table of data, by arm

    Raises
    ------
    ConfigError : the protocol has no analysis, or leaves a definition of the dual target unset
    """
    plan = protocol.plan
    found = [_result(courses, facts, without_data, protocol, plan, each) for each in plan.estimands]
    primary = {each.name for each in plan.primary}
    p_values = {
        each.estimand.name: each.primary.p
        for each in found
        if each.estimand.name in primary and each.primary is not None
    }
    p_adjusted = adjusted(p_values, plan)
    return tuple(EstimandResult(**{**vars(each), "adjusted_p": p_adjusted.get(each.estimand.name)}) for each in found)


def _result(
    courses: Courses,
    facts: Facts,
    without_data: Mapping[str, int],
    protocol: Protocol,
    plan: AnalysisPlan,
    estimand: Estimand,
) -> EstimandResult:
    of = analysis_set(courses, facts, protocol, estimand, plan.test_arm)
    work = _Work(of, estimand, plan, protocol)
    other = next(arm.name for arm in protocol.arms if arm.name != plan.test_arm)
    counts = (
        _counts(work, of.tested, without_data.get(plan.test_arm, 0)),
        _counts(work, ~of.tested, without_data.get(other, 0)),
    )
    primary, note = _attempt(work.primary)
    complete, other_note = _attempt(work.complete_cases)
    tipping, _ = _attempt(work.tipping)
    return EstimandResult(estimand, counts, primary, complete, None, tipping or (), note or other_note, of)


def _attempt(fit: Callable[[], _T]) -> tuple[_T | None, str | None]:
    """Return a result, or None and the reason why it is not estimable."""
    try:
        return fit(), None
    except NotEstimableError as error:
        return None, words_of(error)


def _counts(work: _Work, arm: NDArray[np.bool_], without_data: int) -> Counts:
    observed, used = ~np.isnan(work.answers(work.of.observed)), ~np.isnan(work.answers(work.of.values))
    return Counts(
        randomised=int(arm.sum()) + without_data,
        without_data=without_data,
        observed=int((observed & arm).sum()),
        used=int((used & arm).sum()),
        imputed=int((~used & arm).sum()),
        events={kind.value: int((flags & arm).sum()) for kind, flags in work.of.events.items()},
    )


class _Work:
    """One estimand with its completed data sets, which are drawn once."""

    def __init__(self, of: AnalysisSet, estimand: Estimand, plan: AnalysisPlan, protocol: Protocol) -> None:
        self.of, self.estimand, self.plan, self.protocol = of, estimand, plan, protocol
        self.is_target = estimand.variable is Variable.TARGET
        self.baseline = {each: _filled(of.observed[each][:, 0]) for each in MEASURED}
        self._sites = _site_terms(of.sites) if plan.site_as_covariate else np.empty((len(of.names), 0))
        self._drawn: list[dict[Variable, Floats]] | None = None

    def answers(self, values: Mapping[Variable, Floats]) -> Floats:
        """Return the variable at the visit: the change since baseline, or the dual target as 1 and 0."""
        at = self.of.visit
        if self.is_target:
            return self.of.met(values[Variable.ASDAS][:, at], values[Variable.SPARCC][:, at], self.protocol)
        variable = self.estimand.variable
        changes: Floats = values[variable][:, at] - self.baseline[variable]
        return changes

    def fit(self, answers: Floats, keep: NDArray[np.bool_]) -> Fit:
        """Return the fit of the people in `keep`."""
        chosen = MEASURED if self.is_target else (self.estimand.variable,)
        covariates = np.column_stack([*(self.baseline[each] for each in chosen), self._sites])[keep]
        if self.is_target:
            return fits.logistic(answers[keep], self.of.tested[keep], covariates, self.estimand.summary)
        return fits.ancova(answers[keep], self.of.tested[keep], covariates)

    def complete_cases(self) -> Estimate:
        """Return the estimate from the people with a value."""
        answers = self.answers(self.of.values)
        keep = ~np.isnan(answers)
        return self._estimate(self.fit(answers, keep), keep)

    def primary(self) -> Estimate:
        """Return the estimate of the protocol's model."""
        if self.estimand.model is not Model.MMRM:
            return self._pooled(lambda answers, _: answers)
        variable = self.estimand.variable
        change = self.of.values[variable][:, 1:] - self.baseline[variable][:, None]
        known, tested = ~np.isnan(change), self.of.tested
        # A visit that lacks an arm has no effect, and visits after that of the estimand are not part of it.
        planned = [k for k in range(self.of.visit) if (known[:, k] & tested).any() and (known[:, k] & ~tested).any()]
        if self.of.visit - 1 not in planned:
            raise NotEstimableError(Message("an arm has no value"))
        covariates = np.column_stack([self.baseline[variable], self._sites])
        found = fits.mmrm(change[:, planned], self.of.tested, covariates)[planned.index(self.of.visit - 1)]
        return self._estimate(found, np.asarray(known[:, planned].any(axis=1)))

    def tipping(self) -> tuple[Tipping, ...]:
        """Return the result for each shift of the imputed values; empty where no value of the test arm is imputed.

        A shift makes imputed values of the test arm worse: higher for ASDAS and SPARCC. For the dual target a share of
        the imputed "yes" of the test arm becomes "no", and the same share of the imputed "no" of the other arm "yes".
        """
        imputed = np.isnan(self.answers(self.of.values))
        if not imputed.any():
            return ()
        found = []
        if self.is_target:
            rank = np.random.default_rng(self.plan.seed).random((self.plan.imputations, len(imputed)))
            for share in TURNED:
                estimate = self._pooled(self._turning(share, imputed, rank))
                found.append(Tipping(share, estimate, self.succeeds(estimate)))
            return tuple(found)
        steps = round(self.estimand.tipping_last / self.estimand.tipping_step)
        for step in range(steps + 1):
            shift = step * self.estimand.tipping_step
            added = np.where(imputed & self.of.tested, shift, 0.0)
            estimate = self._pooled(_adding(added))
            found.append(Tipping(shift, estimate, self.succeeds(estimate)))
        return tuple(found)

    def succeeds(self, estimate: Estimate) -> bool:
        """Return True if the hypothesis of the estimand is shown at the level of the protocol, before adjustment."""
        return estimate.p < self.plan.alpha

    def _turning(self, share: float, imputed: NDArray[np.bool_], rank: Floats) -> Callable[[Floats, int], Floats]:
        def turn(answers: Floats, number: int) -> Floats:
            chosen = imputed & (rank[number] < share)
            against = np.where(self.of.tested, 0.0, 1.0)
            return np.where(chosen, against, answers)

        return turn

    def _completed(self) -> list[dict[Variable, Floats]]:
        """Return the completed data sets: ASDAS and SPARCC of all visits, drawn together."""
        if self._drawn is None:
            generator = np.random.default_rng(self.plan.seed)
            values = np.column_stack([self.of.values[each][:, 1:] for each in MEASURED])
            covariates = np.column_stack(
                [*(self.baseline[each] for each in MEASURED), self.of.tested.astype(float), self._sites]
            )
            self._drawn = []
            for _ in range(self.plan.imputations):
                done = impute(values, covariates, generator)
                halves = np.split(done, len(MEASURED), axis=1)
                self._drawn.append(
                    {
                        each: np.column_stack([self.baseline[each], half])
                        for each, half in zip(MEASURED, halves, strict=True)
                    }
                )
        return self._drawn

    def _pooled(self, shifted: Callable[[Floats, int], Floats]) -> Estimate:
        """Return the pooled estimate of the completed data sets after a shift of their answers."""
        everyone = np.ones(len(self.of.names), bool)
        answers = [shifted(self.answers(values), number) for number, values in enumerate(self._completed())]
        if not len(everyone) or any(np.isnan(each).any() for each in answers):
            raise NotEstimableError(Message("no value at the visit, or no baseline"))
        found = [self.fit(each, everyone) for each in answers]
        pooled = pool([each.estimate for each in found], [each.error for each in found], found[0].freedom)
        tested, other = (float(np.mean([getattr(each, name) for each in found])) for name in ("tested", "other"))
        fit = Fit(pooled.estimate, pooled.error, pooled.freedom, tested, other)
        return self._estimate(fit, everyone, pooled.between)

    def _estimate(self, fit: Fit, keep: NDArray[np.bool_], share: float | None = None) -> Estimate:
        """Return interval and p value of a fit; an odds ratio is no longer a logarithm."""
        reach = fit.error * _t_quantile(1 - self.plan.alpha / 2, fit.freedom)
        low, high, p = fit.estimate - reach, fit.estimate + reach, self._p(fit)
        analysed = (int((keep & self.of.tested).sum()), int((keep & ~self.of.tested).sum()))
        estimate = fit.estimate
        if self.estimand.summary is Summary.ODDS_RATIO:
            estimate, low, high = (float(np.exp(value)) for value in (estimate, low, high))
        return Estimate(estimate, fit.error, fit.freedom, low, high, p, fit.tested, fit.other, analysed, share)

    def _p(self, fit: Fit) -> float:
        if self.estimand.hypothesis is Hypothesis.SUPERIORITY:
            return 2 * _t_below(-abs(fit.estimate) / fit.error, fit.freedom)
        margin = self.estimand.margin or 0.0
        # Higher is worse for ASDAS and SPARCC, and better for the dual target.
        distance = fit.estimate + margin if self.is_target else margin - fit.estimate
        return min(1.0, 2 * _t_below(-distance / fit.error, fit.freedom))


def _adding(added: Floats) -> Callable[[Floats, int], Floats]:
    return lambda answers, _: answers + added


def _filled(baseline: Floats) -> Floats:
    """Return a baseline with the mean of all where it is missing: valid under randomisation ([WhiteThompson2005])."""
    known = ~np.isnan(baseline)
    return np.where(known, baseline, baseline[known].mean()) if known.any() else baseline


def _site_terms(sites: Sequence[str | None]) -> Floats:
    """Return a column for each site but the first; people without a site count as a site of their own."""
    names = sorted({site or "" for site in sites})
    return np.array([[float((site or "") == name) for name in names[1:]] for site in sites]).reshape(len(sites), -1)


def _t_below(t: float, freedom: float) -> float:
    return float(special.ndtr(t) if np.isinf(freedom) else special.stdtr(freedom, t))


def _t_quantile(share: float, freedom: float) -> float:
    return float(special.ndtri(share) if np.isinf(freedom) else special.stdtrit(freedom, share))
