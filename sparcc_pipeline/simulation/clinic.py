"""Answers and laboratory values of simulated participants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.simulation.assumptions import Assumptions, Clinical
from sparcc_pipeline.trial.instruments import (
    ASAS_HI_ITEMS,
    ASQOL_ITEMS,
    BASDAI_ITEMS,
    BASFI_ITEMS,
    LARGEST_ITEM,
    AsdasForm,
    asdas_crp,
    basdai,
)
from sparcc_pipeline.trial.nsaid import NsaidIntake
from sparcc_pipeline.trial.records import ClinicalVisit, Screening

Floats = NDArray[np.float64]

_PERIPHERAL = 2
"""Index of the BASDAI item on joints other than the back."""


def screening(clinical: Clinical, generator: np.random.Generator) -> Screening:
    """Return age and laboratory values of one person; each criterion is missed with the assumed probability."""
    bad = generator.random(7) < clinical.abnormal_laboratory
    u = generator.random(8)
    return Screening(
        age_years=float(np.floor(18 + 41.9 * u[0])),
        alt_u_l=round(float(90 if bad[0] else 12 + 30 * u[1])),
        alt_uln_u_l=45.0,
        ast_u_l=round(float(85 if bad[1] else 12 + 25 * u[2])),
        ast_uln_u_l=40.0,
        bilirubin_umol_l=round(float(30 if bad[2] else 6 + 14 * u[3]), 1),
        bilirubin_uln_umol_l=21.0,
        egfr_ml_min=round(float(52 if bad[3] else 80 + 45 * u[4])),
        haemoglobin_g_l=round(float(84 if bad[4] else 112 + 45 * u[5])),
        neutrophils_1e9_l=round(float(1.2 if bad[5] else 2 + 4 * u[6]), 1),
        platelets_1e9_l=round(float(90 if bad[6] else 160 + 200 * u[7])),
        lymphocytes_1e9_l=2.0,
        nyha_class=0,
        pregnancy=False,
        malignancy=False,
        tuberculosis=False,
        live_vaccine=False,
        other_inclusion_met=True,
        other_exclusion=False,
    )


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers and blood values of one visit, nothing missing.

    Parameters
    ----------
    basdai, basfi, asas_hi, asqol : (participants, items)
    patient_global, crp_mg_l, esr_mm_h : (participants,)
    """

    basdai: Floats
    basfi: Floats
    patient_global: Floats
    asas_hi: Floats
    asqol: Floats
    crp_mg_l: Floats
    esr_mm_h: Floats

    def of(self, rows: Sequence[int]) -> Answers:
        """Return the answers of chosen participants."""
        return Answers(*(getattr(self, field.name)[list(rows)] for field in fields(self)))

    @property
    def asdas_crp(self) -> Floats:
        """(participants,) ASDAS-CRP, by the function that the reports use."""
        back, peripheral, duration = (self.basdai[:, k] for k in (1, 2, 5))
        columns = zip(back, duration, self.patient_global, peripheral, self.crp_mg_l, strict=True)
        return np.array([asdas_crp(*map(float, row)).value for row in columns], dtype=float)

    @property
    def basdai_score(self) -> Floats:
        """(participants,) BASDAI, by the function that the reports use."""
        return np.array([basdai(tuple(map(float, row))).value for row in self.basdai], dtype=float)


class Clinic:
    """Simulation of visits from clinical activity: answers, blood values, missing items, shifted days."""

    def __init__(self, assumptions: Assumptions, generator: np.random.Generator) -> None:
        self._clinical, self._conduct, self._generator = assumptions.clinical, assumptions.conduct, generator

    def answers(self, state: Floats) -> Answers:
        """Return the answers of one visit; `state` is (participants,) clinical activity."""
        c, g = self._clinical, self._generator
        lower = np.where(np.arange(BASDAI_ITEMS) == _PERIPHERAL, c.peripheral_lower, 0)
        activity = self._items(state, BASDAI_ITEMS, lower)
        basfi = self._items(state, BASFI_ITEMS, np.full(BASFI_ITEMS, c.function_lower))
        patient_global = self._items(state, 1, np.zeros(1))[:, 0]
        asas_hi, asqol = (self._yes(state, count) for count in (ASAS_HI_ITEMS, ASQOL_ITEMS))
        crp = c.crp_median_mg_l * np.exp(c.crp_slope * state + c.crp_sd * g.standard_normal(len(state)))
        esr = c.esr_median_mm_h * (crp / c.crp_median_mg_l) ** 0.6 * np.exp(0.3 * g.standard_normal(len(state)))
        crp = np.asarray(np.clip(np.round(crp, 1), 0.1, 300), dtype=float)
        esr = np.asarray(np.clip(np.round(esr), 0, 140), dtype=float)
        return Answers(activity, basfi, patient_global, asas_hi, asqol, crp, esr)

    def without_error(self, state: Floats) -> tuple[Floats, Floats]:
        """Return (participants,) ASDAS-CRP and BASDAI of this activity, without the errors of items and of CRP."""
        c = self._clinical
        item = np.clip(c.item_mean + c.item_slope * state, 0, LARGEST_ITEM)
        peripheral = np.clip(c.item_mean + c.item_slope * state - c.peripheral_lower, 0, LARGEST_ITEM)
        crp = c.crp_median_mg_l * np.exp(c.crp_slope * state)
        items = np.repeat(item[:, None], BASDAI_ITEMS, axis=1)
        items[:, _PERIPHERAL] = peripheral
        true = Answers(items, items, item, items, items, crp, crp)
        return true.asdas_crp, true.basdai_score

    def visits(
        self, names: Sequence[str], visit: str, day: int, state: Floats, answers: Answers, *, complete: bool
    ) -> list[ClinicalVisit]:
        """Return one visit of each participant.

        Parameters
        ----------
        day : planned day
        state : (participants,) clinical activity
        answers : answers of these participants
        complete : True for the baseline, which is on the planned day with nothing missing
        """
        g, n = self._generator, len(names)
        days = np.full(n, day) if complete else self._days(day, n)
        nsaid_days, rescue = g.binomial(28, np.clip(0.3 + 0.2 * state, 0, 1)), g.random(n) < 0.01
        return [
            ClinicalVisit(
                participant=names[i],
                visit=visit,
                day=int(days[i]),
                basdai=self._answers(answers.basdai[i], complete),
                patient_global=self._answers(answers.patient_global[i : i + 1], complete)[0],
                crp_mg_l=None if self._lost(complete) else float(answers.crp_mg_l[i]),
                esr_mm_h=float(answers.esr_mm_h[i]),
                asdas_form=AsdasForm.CRP,
                basfi=self._answers(answers.basfi[i], complete),
                asas_hi=self._answers(answers.asas_hi[i], complete),
                asqol=self._answers(answers.asqol[i], complete),
                nsaids=(NsaidIntake("celecoxib", 200.0, float(nsaid_days[i])),) if nsaid_days[i] else (),
                nsaid_period_days=28.0,
                rescue=bool(rescue[i]) and not complete,
            )
            for i in range(n)
        ]

    def _items(self, state: Floats, count: int, lower: Floats) -> Floats:
        c = self._clinical
        noise = c.item_sd * self._generator.standard_normal((len(state), count))
        return np.asarray(
            np.clip(np.round(c.item_mean + c.item_slope * state[:, None] - lower + noise), 0, LARGEST_ITEM)
        )

    def _yes(self, state: Floats, count: int) -> Floats:
        c = self._clinical
        logit = np.log(c.health_share / (1 - c.health_share)) + c.health_slope * state
        return np.asarray(self._generator.random((len(state), count)) < 1 / (1 + np.exp(-logit))[:, None], dtype=float)

    def _days(self, day: int, count: int) -> Floats:
        g, conduct = self._generator, self._conduct
        late = np.where(g.random(count) < conduct.late_visit, g.integers(15, 29, count), 0)
        near = np.clip(np.round(conduct.day_sd * g.standard_normal(count)), -14, 14)
        return np.asarray(day + np.where(late > 0, late, near))

    def _answers(self, items: Floats, complete: bool) -> tuple[float | None, ...]:
        if complete:
            return tuple(float(each) for each in items)
        lost = self._generator.random(len(items)) < self._conduct.missing_item
        return tuple(None if gone else float(each) for each, gone in zip(items, lost, strict=True))

    def _lost(self, complete: bool) -> bool:
        return not complete and bool(self._generator.random() < self._conduct.missing_crp)
