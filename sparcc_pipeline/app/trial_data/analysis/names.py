"""Names of estimands, strategies and models as messages, so that an analysis can be translated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.protocol.analysis import (
    EventKind,
    Hypothesis,
    Model,
    Multiplicity,
    Population,
    Role,
    Strategy,
    Summary,
    Variable,
)

ROLES: Final[Mapping[Role, Message]] = {Role.PRIMARY: Message("primary"), Role.SECONDARY: Message("secondary")}

POPULATIONS: Final[Mapping[Population, Message]] = {
    Population.RANDOMISED: Message("everyone in the allocation, in the arm of the allocation")
}

VARIABLES: Final[Mapping[Variable, Message]] = {
    Variable.ASDAS: Message("change of ASDAS since baseline"),
    Variable.SPARCC: Message("change of SPARCC since baseline"),
    Variable.TARGET: Message("dual target met"),
}

EVENTS: Final[Mapping[EventKind, Message]] = {
    EventKind.DOSE_CHANGE_BACK: Message("dose changes back"),
    EventKind.RESCUE: Message("rescue treatment"),
    EventKind.STOP: Message("study drug ended"),
}

STRATEGIES: Final[Mapping[Strategy, Message]] = {
    Strategy.TREATMENT_POLICY: Message("treatment policy: the value counts"),
    Strategy.HYPOTHETICAL: Message("hypothetical: values after it are set missing"),
    Strategy.COMPOSITE: Message("composite: the target counts as not met"),
    Strategy.WHILE_ON_TREATMENT: Message("while on treatment: the last value before it counts"),
}

MODELS: Final[Mapping[Model, Message]] = {
    Model.ANCOVA: Message("analysis of covariance"),
    Model.MMRM: Message("mixed model for repeated measures"),
    Model.LOGISTIC: Message("logistic model"),
}

SUMMARIES: Final[Mapping[Summary, Message]] = {
    Summary.DIFFERENCE: Message("difference of adjusted means"),
    Summary.ODDS_RATIO: Message("odds ratio"),
    Summary.RISK_DIFFERENCE: Message("difference of adjusted probabilities"),
}

HYPOTHESES: Final[Mapping[Hypothesis, Message]] = {
    Hypothesis.SUPERIORITY: Message("the arms differ"),
    Hypothesis.NON_INFERIORITY: Message("the test arm is not worse by the margin"),
}

PROCEDURES: Final[Mapping[Multiplicity, Message]] = {
    Multiplicity.HOLM: Message("Holm's procedure"),
    Multiplicity.HIERARCHICAL: Message("tests in a fixed order"),
    Multiplicity.NONE: Message("one primary estimand, no adjustment"),
}
