"""Tables of an analysis: estimates, tipping points, and the values that each estimand analysed.

Contents: `analysis_tables`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from sparcc_pipeline.app.results.tables import Column, ColumnKind, Row, Table
from sparcc_pipeline.app.trial_data.analysis.outcome import EstimandResult, Estimate
from sparcc_pipeline.trial.estimand.analysis_set import MEASURED

_T, _N, _W, _Y, _D = ColumnKind

_EFFECT: Final = (
    Column("n_test", "participants of the test arm in the model", _W),
    Column("n_other", "participants of the other arm in the model", _W),
    Column("adjusted_test", "adjusted mean or probability of the test arm", _N),
    Column("adjusted_other", "adjusted mean or probability of the other arm", _N),
    Column("effect", "difference of means or probabilities, or odds ratio", _N),
    Column("standard_error", "standard error; of the logarithm for an odds ratio", _N),
    Column("freedom", "degrees of freedom of t; empty for a normal distribution", _N),
    Column("low", "lower end of the interval", _N),
    Column("high", "upper end of the interval", _N),
    Column("p", "two-sided p; for non-inferiority twice the one-sided p", _N),
)

ESTIMATES: Final = (
    Column("estimand", "name of the estimand"),
    Column("analysis", "primary, or complete cases"),
    Column("variable", "asdas, sparcc, dual_target"),
    Column("visit", "planned visit"),
    Column("summary", "summary measure"),
    *_EFFECT,
    Column("imputation_share", "share of the variance that comes from the imputation", _N),
    Column("adjusted_p", "p adjusted for several primary estimands", _N),
    Column("note", "why there is no estimate"),
)

TIPPING: Final = (
    Column("estimand", "name of the estimand"),
    Column("shift", "shift of imputed values of the test arm, or share of imputed answers turned against it", _N),
    *_EFFECT,
    Column("succeeds", "the hypothesis is shown, before adjustment", _Y),
)

ANALYSED: Final = (
    Column("estimand", "name of the estimand"),
    Column("participant", "trial number of the participant"),
    Column("site", "site"),
    Column("test_arm", "in the test arm", _Y),
    *(Column(f"{each.value}_baseline", f"{each.value} at baseline", _N) for each in MEASURED),
    *(Column(f"{each.value}_observed", f"{each.value} at the visit, as observed", _N) for each in MEASURED),
    *(Column(f"{each.value}_used", f"{each.value} at the visit, after the strategies", _N) for each in MEASURED),
    Column("not_met_by_strategy", "the dual target counts as not met by the composite strategy", _Y),
    Column("dose_change_back", "the dose changed back before the value", _Y),
    Column("rescue", "rescue treatment before the value", _Y),
    Column("stop", "the study drug was ended before the value", _Y),
)


def analysis_tables(results: Sequence[EstimandResult]) -> dict[str, Table]:
    """Return the tables by name."""
    return {
        "estimates": Table(ESTIMATES, [row for each in results for row in _estimates(each)]),
        "tipping": Table(
            TIPPING,
            [
                {"estimand": each.estimand.name, "shift": t.shift, **_effect(t.estimate), "succeeds": t.succeeds}
                for each in results
                for t in each.tipping
            ],
        ),
        "analysed": Table(ANALYSED, [row for each in results for row in _analysed(each)]),
    }


def _estimates(result: EstimandResult) -> Sequence[Row]:
    estimand = result.estimand
    rows = []
    for name, found in (("primary", result.primary), ("complete cases", result.complete_cases)):
        row: dict[str, Any] = {
            "estimand": estimand.name,
            "analysis": name,
            "variable": estimand.variable.value,
            "visit": estimand.visit,
            "summary": estimand.summary.value,
            "note": None if found is not None else result.note,
            "adjusted_p": result.adjusted_p if name == "primary" else None,
        }
        if found is not None:
            row |= {**_effect(found), "imputation_share": found.imputation_share}
        rows.append(row)
    return rows


def _effect(found: Estimate) -> dict[str, Any]:
    return {
        "n_test": found.analysed[0],
        "n_other": found.analysed[1],
        "adjusted_test": found.tested,
        "adjusted_other": found.other,
        "effect": found.estimate,
        "standard_error": found.error,
        "freedom": None if np.isinf(found.freedom) else found.freedom,
        "low": found.low,
        "high": found.high,
        "p": found.p,
    }


def _analysed(result: EstimandResult) -> Sequence[Row]:
    of, at = result.of, result.of.visit
    rows = []
    for k, name in enumerate(of.names):
        row: dict[str, Any] = {
            "estimand": result.estimand.name,
            "participant": name,
            "site": of.sites[k],
            "test_arm": bool(of.tested[k]),
            "not_met_by_strategy": bool(of.failed[k]),
            **{kind.value: bool(flags[k]) for kind, flags in of.events.items()},
        }
        for each in MEASURED:
            row[f"{each.value}_baseline"] = _known(of.observed[each][k, 0])
            row[f"{each.value}_observed"] = _known(of.observed[each][k, at])
            row[f"{each.value}_used"] = _known(of.values[each][k, at])
        rows.append(row)
    return rows


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
