"""Fit the models of an analysis with statsmodels; no other module imports it.

Contents: `ancova`, `mmrm`, `logistic`, `Fit`, `require_statsmodels`. The effect is always the test arm against the
other one. A model that cannot be fitted raises `NotEstimableError`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.protocol.analysis import Summary

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

INSTALL: Final = "pip install '.[trial]'"
_LARGEST_ERROR: Final = 100.0
"""A larger standard error of a log odds ratio is a sign of separation: one arm has no answer of one kind."""


class NotEstimableError(Exception):
    """The data do not determine the model; the reason is its message."""


@dataclass(frozen=True)
class Fit:
    """An effect with its standard error.

    Parameters
    ----------
    estimate, error : difference of means, log odds ratio, or difference of probabilities
    freedom : degrees of freedom of t; infinity for a normal distribution
    tested, other : adjusted mean, or mean adjusted probability, of each arm
    """

    estimate: float
    error: float
    freedom: float
    tested: float
    other: float


def require_statsmodels() -> None:
    """Reject an analysis before the slow work if statsmodels is missing.

    Raises
    ------
    ConfigError : the extra is not installed
    """
    try:
        import statsmodels  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"expected the package statsmodels for the analysis of a trial, found none; install it: {INSTALL}"
        ) from error


def ancova(change: Floats, tested: Flags, covariates: Floats) -> Fit:
    """Return the adjusted difference of two arms in a change, by ordinary least squares.

    Parameters
    ----------
    change : (people,), complete
    tested : (people,) True in the test arm
    covariates : (people, terms), the baseline first

    Raises
    ------
    NotEstimableError : an arm is empty, or there are too few people
    """
    from statsmodels.regression.linear_model import OLS

    _require_arms(tested)
    centred = covariates - covariates.mean(axis=0)
    x = np.column_stack([np.ones(len(change)), tested, centred])
    _require_rank(x)
    found: Any = OLS(change, x).fit()
    other, effect = float(found.params[0]), float(found.params[1])
    return Fit(effect, float(found.bse[1]), float(found.df_resid), other + effect, other)


def mmrm(change: Floats, tested: Flags, covariates: Floats) -> list[Fit]:
    """Return the adjusted difference of two arms at each visit, by a mixed model for repeated measures.

    Arm, covariates and intercept have a term of their own at each visit; the covariance of the visits is unstructured
    (a random effect for each visit, plus the residual), estimated by restricted maximum likelihood. Values may be
    missing at random. Degrees of freedom: participants with a value minus terms of one visit, because statsmodels has
    neither those of Kenward and Roger nor those of Satterthwaite.

    Parameters
    ----------
    change : (people, visits), NaN where missing

    Raises
    ------
    NotEstimableError : a visit lacks an arm, or the fit does not converge
    """
    from statsmodels.regression.mixed_linear_model import MixedLM

    known = ~np.isnan(change)
    for k in range(change.shape[1]):
        _require_arms(tested[known[:, k]])
    people, visits = np.nonzero(known)
    at_visit = np.eye(change.shape[1])[visits]
    terms = np.column_stack([np.ones(len(tested)), tested, covariates - covariates.mean(axis=0)])
    x = (at_visit[:, None, :] * terms[people][:, :, None]).reshape(len(people), -1)
    _require_rank(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The split of the covariance into random effects and residual is not unique, and a part of it can be zero; the
        # sum, which alone matters here, is determined.
        found: Any = MixedLM(change[known], x, groups=people, exog_re=at_visit).fit(reml=True, method=["lbfgs", "bfgs"])
    if not found.converged:
        raise NotEstimableError(Message("the fit did not converge"))
    covariance = np.asarray(found.cov_re) + float(found.scale) * np.eye(change.shape[1])
    effects, errors = found.fe_params.tolist(), _errors(x, people, visits, covariance).tolist()
    count = change.shape[1]
    freedom = float(len(set(people.tolist())) - terms.shape[1])
    return [
        Fit(effects[count + k], errors[count + k], freedom, effects[k] + effects[count + k], effects[k])
        for k in range(count)
    ]


def logistic(met: Floats, tested: Flags, covariates: Floats, summary: Summary) -> Fit:
    """Return the odds ratio (as its logarithm) or the difference of probabilities of two arms, by a logistic model.

    The difference is standardised: the mean over all people of the predicted probability in the one arm and in the
    other ([Ge2011]), with the error of the delta method.

    Parameters
    ----------
    met : (people,) 1 or 0, complete

    Raises
    ------
    NotEstimableError : the answers separate the arms, or all are alike
    """
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.tools.sm_exceptions import ModelWarning

    _require_arms(tested)
    if len(set(met.tolist())) < 2:
        raise NotEstimableError(Message("all answers are alike"))
    x = np.column_stack([np.ones(len(met)), tested, covariates - covariates.mean(axis=0)])
    _require_rank(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ModelWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            found: Any = Logit(met, x).fit(disp=False, maxiter=100)
        except (ModelWarning, np.linalg.LinAlgError) as error:
            raise NotEstimableError(Message("the answers separate the arms or a covariate")) from error
    if not found.mle_retvals["converged"] or found.bse[1] > _LARGEST_ERROR:
        raise NotEstimableError(Message("the answers separate the arms or a covariate"))
    with_test, without = x.copy(), x.copy()
    with_test[:, 1], without[:, 1] = 1.0, 0.0
    high, low = found.predict(with_test), found.predict(without)
    if summary is Summary.ODDS_RATIO:
        return Fit(float(found.params[1]), float(found.bse[1]), np.inf, float(high.mean()), float(low.mean()))
    slope = (high * (1 - high)) @ with_test / len(x) - (low * (1 - low)) @ without / len(x)
    deviation = float(np.sqrt(slope @ np.asarray(found.cov_params()) @ slope))
    return Fit(float(high.mean() - low.mean()), deviation, np.inf, float(high.mean()), float(low.mean()))


def _errors(x: Floats, people: NDArray[Any], visits: NDArray[Any], covariance: Floats) -> Floats:
    """Return the standard errors of the fixed effects, given the covariance of the visits."""
    cross = np.zeros((x.shape[1], x.shape[1]))
    for person in np.unique(people):
        mine = people == person
        cross += x[mine].T @ np.linalg.solve(covariance[np.ix_(visits[mine], visits[mine])], x[mine])
    errors: Floats = np.sqrt(np.diag(np.linalg.inv(cross)))
    return errors


def _require_arms(tested: Flags) -> None:
    if not tested.any() or tested.all():
        raise NotEstimableError(Message("an arm has no value"))


def _require_rank(x: Floats) -> None:
    if len(x) <= x.shape[1] or np.linalg.matrix_rank(x) < x.shape[1]:
        raise NotEstimableError(Message("too few people, or a covariate is constant or repeats another one"))
