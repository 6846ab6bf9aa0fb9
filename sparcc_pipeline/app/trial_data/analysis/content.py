"""The sections of an analysis, or, without results, its table shells: the same tables with xx in place of numbers.

Contents: `analysis_sections`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.plots import picture
from sparcc_pipeline.app.trial_data.analysis import names as terms
from sparcc_pipeline.app.trial_data.analysis.outcome import EstimandResult, Estimate
from sparcc_pipeline.app.trial_data.analysis.plots import forest_plot, tipping_plot
from sparcc_pipeline.app.trial_data.sections import Section
from sparcc_pipeline.trial.protocol.analysis import Estimand, EventKind, Model, Role, Summary, Variable
from sparcc_pipeline.trial.protocol.definition import Protocol

EMPTY: Final = "xx"
"""A whole number in a table shell."""
EMPTY_VALUE: Final = "xx.xx"
"""A number in a table shell."""

Results = Sequence[EstimandResult] | None


def analysis_sections(results: Results, protocol: Protocol, words: Language) -> list[Section]:
    """Return every section; `results` is None for the table shells.

    Raises
    ------
    ConfigError : the protocol has no analysis
    """
    sections = [_estimands(protocol, words), _participants(results, protocol, words)]
    sections.append(_effects(results, protocol, words))
    sections.append(_observed(results, protocol, words))
    sections.append(_tipping(results, protocol, words))
    return sections


def _estimands(protocol: Protocol, words: Language) -> Section:
    """The five attributes of each estimand, one column each."""
    plan = protocol.plan
    rows: list[tuple[str, Callable[[Estimand], str]]] = [
        (words.say("Role"), lambda each: words.say(terms.ROLES[each.role])),
        (words.say("Treatments"), lambda _: f"{plan.test_arm}, {other_arm(protocol)}"),
        (words.say("Population"), lambda each: words.say(terms.POPULATIONS[each.population])),
        (words.say("Variable"), lambda each: f"{words.say(terms.VARIABLES[each.variable])}, {each.visit}"),
        *(_event_row(kind, words) for kind in EventKind),
        (words.say("Summary measure"), lambda each: words.say(terms.SUMMARIES[each.summary])),
        (words.say("Hypothesis"), lambda each: _hypothesis(each, words)),
        (words.say("Model"), lambda each: words.say(terms.MODELS[each.model])),
        (words.say("Missing values"), lambda each: _missing(each, protocol, words)),
    ]
    procedure = words.say("Several primary estimands: {how}.", how=terms.PROCEDURES[plan.multiplicity])
    if plan.order:
        procedure += " " + words.say("Order: {names}.", names=plan.order)
    notes = [procedure, words.say("Two-sided level of all primary estimands together: {alpha}.", alpha=plan.alpha)]
    return Section(
        "estimands",
        words.say("Estimands"),
        ["", *(each.name for each in plan.estimands)],
        [[name, *(cell(each) for each in plan.estimands)] for name, cell in rows],
        notes=notes,
    )


def _event_row(kind: EventKind, words: Language) -> tuple[str, Callable[[Estimand], str]]:
    name = words.say("Intercurrent event: {event}", event=terms.EVENTS[kind])
    return name, lambda each: words.say(terms.STRATEGIES[each.strategies[kind]])


def _hypothesis(each: Estimand, words: Language) -> str:
    name = words.say(terms.HYPOTHESES[each.hypothesis])
    return name if each.margin is None else f"{name} ({each.margin:g})"


def _missing(each: Estimand, protocol: Protocol, words: Language) -> str:
    if each.model is Model.MMRM:
        return words.say("missing at random, by the mixed model")
    return words.say("missing at random, {n} imputations", n=protocol.plan.imputations)


def other_arm(protocol: Protocol) -> str:
    """Return the arm with which the test arm is compared."""
    return next(arm.name for arm in protocol.arms if arm.name != protocol.plan.test_arm)


def _participants(results: Results, protocol: Protocol, words: Language) -> Section:
    head = [
        words.say("Estimand"),
        words.say("Arm"),
        words.say("Randomised"),
        words.say("In no table of data"),
        words.say("Value observed"),
    ]
    head += [words.say("Value used"), words.say("Imputed"), *(words.say(terms.EVENTS[kind]) for kind in EventKind)]
    rows = []
    for number, estimand in enumerate(protocol.plan.estimands):
        for side, arm in enumerate((protocol.plan.test_arm, other_arm(protocol))):
            if results is None:
                cells = [EMPTY] * (len(head) - 2)
            else:
                found = results[number].counts[side]
                numbers = (found.randomised, found.without_data, found.observed, found.used, found.imputed)
                cells = [str(n) for n in (*numbers, *(found.events[kind.value] for kind in EventKind))]
            rows.append([estimand.name if side == 0 else "", arm, *cells])
    return Section(
        "participants",
        words.say("Participants"),
        head,
        rows,
        notes=[
            words.say("All are numbers of participants. Value used: after the strategies for intercurrent events."),
            words.say("Participants in no table of data cannot be analysed; they are counted here and nowhere else."),
        ],
    )


def _effects(results: Results, protocol: Protocol, words: Language) -> Section:
    plan = protocol.plan
    head = [
        words.say("Estimand"),
        words.say("Analysis"),
        f"n {plan.test_arm}",
        f"n {other_arm(protocol)}",
        plan.test_arm,
    ]
    head += [other_arm(protocol), words.say("Effect"), words.say("{level:g} % interval", level=100 * (1 - plan.alpha))]
    head += ["p", words.say("Adjusted p"), words.say("Conclusion")]
    rows = []
    for number, each in enumerate(plan.estimands):
        result = None if results is None else results[number]
        for kind in ("primary", "complete"):
            name = words.say("primary analysis") if kind == "primary" else words.say("participants with a value only")
            rows.append([each.name if kind == "primary" else "", name, *_effect(each, result, kind, protocol, words)])
    notes = [
        words.say(
            "Effect: {arm} minus the other arm, or over it for an odds ratio; n: participants in the model.",
            arm=plan.test_arm,
        )
    ]
    notes.append(words.say("For non-inferiority p is twice the one-sided p, to be compared with the same level."))
    known = [each for each in results or () if each.primary is not None]
    drawn = picture(forest_plot(known, plan.alpha, words)) if known else None
    return Section("effects", words.say("Effects"), head, rows, drawn, notes)


def _effect(
    estimand: Estimand, result: EstimandResult | None, kind: str, protocol: Protocol, words: Language
) -> list[str]:
    is_primary = kind == "primary" and estimand.role is Role.PRIMARY
    if result is None:
        cells = [EMPTY, EMPTY, EMPTY_VALUE, EMPTY_VALUE, EMPTY_VALUE, f"{EMPTY_VALUE}; {EMPTY_VALUE}", "0.xxx"]
        return [*cells, "0.xxx" if is_primary else "", "..." if is_primary else ""]
    found = result.primary if kind == "primary" else result.complete_cases
    if found is None:
        return ["–"] * 8 + [words.say("not estimable: {why}", why=result.note)]
    cells = [str(found.analysed[0]), str(found.analysed[1]), *effect_cells(found, estimand)]
    if not is_primary or result.adjusted_p is None:
        return [*cells, "", ""]
    shown = result.adjusted_p < protocol.plan.alpha
    return [*cells, _p(result.adjusted_p), words.say("shown") if shown else words.say("not shown")]


def effect_cells(found: Estimate, estimand: Estimand) -> list[str]:
    """Return both adjusted means, the effect, its interval and p as shown."""
    digits = 2 if estimand.summary is not Summary.RISK_DIFFERENCE else 3
    effect, low, high = (f"{value:.{digits}f}" for value in (found.estimate, found.low, found.high))
    return [f"{found.tested:.2f}", f"{found.other:.2f}", effect, f"{low}; {high}", _p(found.p)]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _observed(results: Results, protocol: Protocol, words: Language) -> Section:
    """Observed values of each arm at each visit, before any strategy."""
    plan = protocol.plan
    head = [words.say("Visit")]
    for arm in (plan.test_arm, other_arm(protocol)):
        for name in ("ASDAS", "SPARCC"):
            head += [f"n {arm}", words.say("{name}, mean (SD)", name=name)]
    rows = [[visit.visit, *_observed_cells(results, k)] for k, visit in enumerate(protocol.visits)]
    return Section(
        "observed",
        words.say("Observed values"),
        head,
        rows,
        notes=[words.say("As observed, whatever happened before; n: participants with a value.")],
    )


def _observed_cells(results: Results, k: int) -> list[str]:
    if not results:
        return [EMPTY, f"{EMPTY_VALUE} ({EMPTY_VALUE})"] * 4
    cells, of = [], results[0].of
    for arm in (of.tested, ~of.tested):
        for variable in (Variable.ASDAS, Variable.SPARCC):
            known = of.observed[variable][arm, k]
            known = known[~np.isnan(known)]
            spread = f" ({known.std(ddof=1):.2f})" if len(known) > 1 else ""
            cells += [str(len(known)), f"{known.mean():.2f}{spread}" if len(known) else "–"]
    return cells


def _tipping(results: Results, protocol: Protocol, words: Language) -> Section:
    plan = protocol.plan
    head = [
        words.say("Estimand"),
        words.say("Imputed"),
        words.say("Largest shift"),
        words.say("Conclusion without a shift"),
        words.say("Changes at"),
    ]
    rows: list[list[str]] = []
    for number, each in enumerate(plan.estimands):
        rows.append([each.name, *_tipping_cells(None if results is None else results[number], results is None, words)])
    notes = [
        words.say(
            "Imputed values of {arm} are made worse step by step, until the conclusion changes.", arm=plan.test_arm
        ),
        words.say(
            "ASDAS and SPARCC: points added. Dual target: share of imputed answers turned against {arm} in both arms.",
            arm=plan.test_arm,
        ),
        words.say("All by multiple imputation, also for a mixed model; before adjustment for several estimands."),
    ]
    shifted = [each for each in results or () if each.tipping]
    drawn = picture(tipping_plot(shifted, words)) if shifted else None
    return Section("tipping", words.say("Tipping point"), head, rows, drawn, notes)


def _tipping_cells(result: EstimandResult | None, is_shell: bool, words: Language) -> list[str]:
    if result is None or is_shell:
        return [EMPTY, EMPTY_VALUE, "...", EMPTY_VALUE]
    imputed = sum(each.imputed for each in result.counts)
    if not result.tipping:
        return [str(imputed), "–", "–", words.say("nothing is imputed") if not imputed else "–"]
    first, last = result.tipping[0], result.tipping[-1]
    tips: Any = words.say("not up to {last:g}", last=last.shift) if result.tips_at is None else f"{result.tips_at:g}"
    return [str(imputed), f"{last.shift:g}", words.say("shown") if first.succeeds else words.say("not shown"), tips]
