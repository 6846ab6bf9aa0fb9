"""The statistical analysis of a trial as its protocol file states it: estimands, models, multiplicity.

An estimand has the five attributes of [IchE9R1]: treatments (the arms), population, variable, intercurrent events with
a strategy for each, and a summary measure. Nothing has a default: without these tables there is no analysis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar, cast

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.trial.protocol.table import NUMBER, TEXT, Settings, SourcedTable

_E = TypeVar("_E", bound=Enum)


class Variable(Enum):
    """Variables of an estimand; the value is the name in the protocol file."""

    ASDAS = "asdas"
    SPARCC = "sparcc"
    TARGET = "dual_target"


class Role(Enum):
    """The place of an estimand in the trial."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


class Population(Enum):
    """Participants of an estimand: everyone in the allocation, in the arm of the allocation."""

    RANDOMISED = "randomised"


class EventKind(Enum):
    """Intercurrent events: after them the value of a visit means something else, or does not exist."""

    DOSE_CHANGE_BACK = "dose_change_back"
    RESCUE = "rescue"
    STOP = "stop"


class Strategy(Enum):
    """Strategies for intercurrent events. Source: [IchE9R1]."""

    TREATMENT_POLICY = "treatment_policy"
    HYPOTHETICAL = "hypothetical"
    COMPOSITE = "composite"
    WHILE_ON_TREATMENT = "while_on_treatment"


class Model(Enum):
    """Models that estimate a summary measure."""

    ANCOVA = "ancova"
    MMRM = "mmrm"
    LOGISTIC = "logistic"


class Summary(Enum):
    """Summary measures: the test arm minus, or over, the other arm."""

    DIFFERENCE = "difference_of_means"
    ODDS_RATIO = "odds_ratio"
    RISK_DIFFERENCE = "risk_difference"


class Hypothesis(Enum):
    """Hypotheses that an estimand tests."""

    SUPERIORITY = "superiority"
    NON_INFERIORITY = "non_inferiority"


class Multiplicity(Enum):
    """Procedures that hold the error of all primary estimands."""

    HOLM = "holm"
    HIERARCHICAL = "hierarchical"
    NONE = "one_primary"


SUMMARIES: Final[Mapping[Model, tuple[Summary, ...]]] = {
    Model.ANCOVA: (Summary.DIFFERENCE,),
    Model.MMRM: (Summary.DIFFERENCE,),
    Model.LOGISTIC: (Summary.ODDS_RATIO, Summary.RISK_DIFFERENCE),
}
"""Summary measures that each model can estimate."""


@dataclass(frozen=True)
class Estimand:
    """One estimand with its model.

    More than ten fields: they are the keys of one table of the protocol file.

    Parameters
    ----------
    visit : planned visit at which the variable is taken
    strategies : strategy of each intercurrent event
    margin : largest acceptable difference to the worse; None for superiority
    tipping_step : shift of imputed values in the test arm, in units of the variable, from one analysis to the next
    tipping_last : largest shift that is tried
    """

    name: str
    variable: Variable
    role: Role
    population: Population
    visit: str
    strategies: Mapping[EventKind, Strategy]
    model: Model
    summary: Summary
    hypothesis: Hypothesis
    margin: float | None
    tipping_step: float
    tipping_last: float


@dataclass(frozen=True)
class AnalysisPlan:
    """The whole analysis.

    Parameters
    ----------
    test_arm : arm that is compared with the other one
    alpha : two-sided significance level of all primary estimands together
    order : names of the primary estimands, the first tested first; only for the hierarchical procedure
    site_as_covariate : the models have a term for each site
    imputations : number of completed data sets
    """

    estimands: tuple[Estimand, ...]
    test_arm: str
    alpha: float
    multiplicity: Multiplicity
    order: tuple[str, ...]
    site_as_covariate: bool
    imputations: int
    seed: int

    @property
    def primary(self) -> tuple[Estimand, ...]:
        """The primary estimands."""
        return tuple(each for each in self.estimands if each.role is Role.PRIMARY)


def analysis_from(top: SourcedTable, settings: Settings) -> AnalysisPlan | None:
    """Return the analysis of a protocol file; None if it has neither `[analysis]` nor `[[estimands]]`.

    Raises
    ------
    ConfigError : a key is unknown, missing or without a source, or keys contradict each other
    """
    if not top.has("analysis") and not top.has("estimands"):
        return None
    table = top.table("analysis")
    plan = AnalysisPlan(
        estimands=tuple(_estimand(each, settings) for each in top.tables("estimands")),
        test_arm=table.text("test_arm", settings),
        alpha=table.number("alpha", settings, 0.0001, 0.2),
        multiplicity=table.one_of("multiplicity", Multiplicity, settings),
        order=tuple(table.text("order", settings).split()) if table.has("order") else (),
        site_as_covariate=table.flag("site_as_covariate", settings),
        imputations=table.whole("imputations", settings, 2, 1000),
        seed=table.whole("seed", settings, 0, 2**31 - 1),
    )
    table.finish()
    return plan


def existing_plan(plan: AnalysisPlan | None, file: str) -> AnalysisPlan:
    """Return the plan. Raises ConfigError if it is None."""
    if plan is None:
        raise ConfigError(
            f"expected the tables [analysis] and [[estimands]] in the protocol {file}, found none: the registry entry "
            "gives no time point, hypothesis or margin; write them as in docs/trial-analysis.md, and give the file "
            "with --protocol"
        )
    return plan


def _estimand(table: SourcedTable, settings: Settings) -> Estimand:
    name = str(table.plain("name", TEXT))
    estimand = Estimand(
        name=name,
        variable=_one_of(table, "variable", Variable),
        role=_one_of(table, "role", Role),
        population=_one_of(table, "population", Population),
        visit=str(table.plain("visit", TEXT)),
        strategies={event: _one_of(table, event.value, Strategy) for event in EventKind},
        model=_one_of(table, "model", Model),
        summary=_one_of(table, "summary", Summary),
        hypothesis=_one_of(table, "hypothesis", Hypothesis),
        margin=cast(float, table.plain("margin", NUMBER)) if table.has("margin") else None,
        tipping_step=cast(float, table.plain("tipping_step", NUMBER)),
        tipping_last=cast(float, table.plain("tipping_last", NUMBER)),
    )
    source = str(table.plain("source", TEXT))
    if not source.strip():
        raise table.wrong("source", source, "where the value comes from")
    table.finish()
    _require_estimand(table, estimand)
    key = f"estimands.{name}"
    settings.values[key] = (
        f"{estimand.role.value}, {estimand.variable.value} at {estimand.visit}, {estimand.model.value}"
    )
    settings.sources[key] = source
    return estimand


def _one_of(table: SourcedTable, key: str, kind: type[_E]) -> _E:
    value = table.plain(key, TEXT)
    allowed = [each.value for each in kind]
    if value not in allowed:
        raise table.wrong(key, value, f"one of {', '.join(map(repr, allowed))}")
    return kind(value)


def _require_estimand(table: SourcedTable, estimand: Estimand) -> None:
    """Check the keys of one estimand together."""
    is_target, strategies = estimand.variable is Variable.TARGET, estimand.strategies.values()
    if is_target != (estimand.model is Model.LOGISTIC):
        raise table.wrong(
            "model", estimand.model.value, "'logistic' for dual_target, 'ancova' or 'mmrm' for the others"
        )
    if estimand.summary not in SUMMARIES[estimand.model]:
        allowed = " or ".join(repr(each.value) for each in SUMMARIES[estimand.model])
        raise table.wrong("summary", estimand.summary.value, f"{allowed} for the model {estimand.model.value}")
    if Strategy.COMPOSITE in strategies and not is_target:
        raise table.wrong("name", estimand.name, "the strategy 'composite' for dual_target only, as an answer of no")
    if Strategy.WHILE_ON_TREATMENT in strategies and estimand.model is Model.MMRM:
        raise table.wrong("name", estimand.name, "the strategy 'while_on_treatment' with another model than 'mmrm'")
    inferior = estimand.hypothesis is Hypothesis.NON_INFERIORITY
    if inferior != (estimand.margin is not None and estimand.margin > 0):
        raise table.wrong("margin", estimand.margin, "a margin over 0 for 'non_inferiority', and no margin otherwise")
    if inferior and estimand.summary is Summary.ODDS_RATIO:
        raise table.wrong("summary", estimand.summary.value, "'risk_difference' for 'non_inferiority'")
    if not 0 < estimand.tipping_step <= estimand.tipping_last:
        raise table.wrong("tipping_step", estimand.tipping_step, "a step over 0 and at most tipping_last")


def require_plan(plan: AnalysisPlan, visits: Mapping[str, bool], baseline: str, arms: Sequence[str], file: str) -> None:
    """Check the plan against the visits and arms of the protocol.

    Parameters
    ----------
    visits : True for each planned visit with imaging, by its name

    Raises
    ------
    ConfigError : a visit or an arm is unknown, a name occurs twice, or the procedure does not fit the estimands
    """
    names, primary = [each.name for each in plan.estimands], [each.name for each in plan.primary]
    if len(set(names)) < len(names):
        raise ConfigError(f"expected each estimand once in {file}, found {names}; rename one")
    for each in plan.estimands:
        if each.visit == baseline or each.visit not in visits:
            raise ConfigError(
                f"expected a planned visit after the baseline for the estimand {each.name!r} in {file}, found "
                f"{each.visit!r}; use one of {', '.join(name for name in visits if name != baseline)}"
            )
        if each.variable is not Variable.ASDAS and not visits[each.visit]:
            raise ConfigError(
                f"expected a visit with imaging for the estimand {each.name!r} in {file}, found {each.visit!r} "
                "without; change the visit"
            )
    if plan.test_arm not in arms or len(arms) != 2:
        raise ConfigError(
            f"expected two arms, one of them analysis.test_arm, in {file}, found {plan.test_arm!r} and "
            f"{', '.join(arms)}; change one"
        )
    if not primary or (len(primary) > 1) == (plan.multiplicity is Multiplicity.NONE):
        raise ConfigError(
            f"expected analysis.multiplicity 'holm' or 'hierarchical' for two or more primary estimands and "
            f"'one_primary' for one in {file}, found {plan.multiplicity.value!r} for {len(primary)}; change one"
        )
    wanted = sorted(primary) if plan.multiplicity is Multiplicity.HIERARCHICAL else []
    if sorted(plan.order) != wanted:
        raise ConfigError(
            f"expected analysis.order to name each primary estimand once for 'hierarchical', and no order otherwise, "
            f"in {file}, found {' '.join(plan.order) or 'none'}; name {' '.join(wanted) or 'none'}"
        )
