"""Places where the registry entry contradicts itself, or is silent, beside the choices. Source: [Registry].

They are reported by `sparcc trial protocol check`, because the trial must settle each in its protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sparcc_pipeline.trial.protocol.choices import ChoiceValue

DAILY_MG: Final[Mapping[ChoiceValue, float]] = {
    "5_mg_every_other_day": 2.5,
    "15_mg_every_other_day": 7.5,
    "15_mg_every_third_day": 5.0,
}
"""Mean daily dose of each step in mg."""

CONTRADICTIONS: Final = (
    "what the taper depends on: title and objective name the clinical-imaging dual target, the intervention low "
    "disease activity alone; the steps here follow low disease activity (choices.low_disease_activity)",
    "age: 18-59 and, further down (item 5), 18-60, in the Chinese and in the English text (choices.age_max_years)",
    "haemoglobin: inclusion from 90 g/L, exclusion under 80 g/L; both can hold, and then 90 decides "
    "(choices.haemoglobin_min_g_l)",
    "live vaccine: stated twice, alike (exclusions 2 and 7)",
    "neutrophils: stated twice, alike (inclusion 4, exclusion 5)",
)
"""Contradictions and repetitions of the entry."""

ABSENT: Final = (
    "time point of the primary outcomes",
    "hypothesis and margin of the primary outcomes",
    "classification criteria, and the meaning of early",
    "low disease activity and dual remission",
    "rescue treatment, and going back to the full dose",
    "safety outcomes, although safety is an objective",
)
"""Facts that the entry does not give."""


def dose_contradiction(choices: Mapping[str, ChoiceValue]) -> str | None:
    """Return how the doses of the two steps contradict a taper; None if the chosen second step is the smaller dose.

    Examples
    --------
    >>> dose_contradiction({"first_step": "5_mg_every_other_day", "second_step": "15_mg_every_third_day"})
    'doses of the steps: the second step is the higher dose: 5 mg a day after 2.5 mg'
    >>> dose_contradiction({"first_step": "15_mg_every_other_day", "second_step": "15_mg_every_third_day"}) is None
    True
    """
    first, second = choices.get("first_step"), choices.get("second_step")
    if first is None or second is None:
        return (
            "doses of the steps: in three of the four readings of first_step and second_step the second step is not "
            "the smaller dose (5 mg every other day is 2.5 mg a day, 15 mg every second or third day 7.5 or 5 mg)"
        )
    before, after = DAILY_MG[first], DAILY_MG[second]
    if after < before:
        return None
    word = "the same" if after == before else "the higher"
    return f"doses of the steps: the second step is {word} dose: {after:g} mg a day after {before:g} mg"
