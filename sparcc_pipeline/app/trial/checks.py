"""Checks that look at more than one visit: CRP in the wrong unit, mixed forms of ASDAS.

There: `ask_about_units`, `ask_about_forms`.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from sparcc_pipeline.app.trial.rows import CheckedRow, Queries
from sparcc_pipeline.trial.instruments import AsdasForm
from sparcc_pipeline.trial.protocol import Protocol
from sparcc_pipeline.trial.records import QueryKind

UNIT_CHECK_FROM: Final = 10
"""Values of a column from which on its unit can be judged. No published value: a project decision."""

HIGHEST_MEDIAN_MG_DL: Final = 4.0
"""A median over this in mg/dL (40 mg/L) is that of values in mg/L. A project decision: half of all participants would
have more than is usual in active disease."""

LARGEST_LOW_MG_L: Final = 3.0
"""A column of mg/L whose largest value is under this looks like mg/dL (30 mg/L). A project decision."""

_Values = Mapping[tuple[str, str], tuple[dict[str, Any], Mapping[str, CheckedRow]]]


def ask_about_units(visits: _Values, queries: Queries) -> None:
    """A whole column of CRP whose values fit the other unit: in mg/dL they do not count, in mg/L they do."""
    columns: dict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for key, (values, rows) in visits.items():
        for name in ("crp_mg_l", "crp_mg_dl"):
            if name in values:
                columns[rows[name].file, rows[name].columns[name], name].append(key)
    for (file, column, name), keys in columns.items():
        found = [visits[key][0][name] for key in keys]
        if len(found) < UNIT_CHECK_FROM:
            continue
        median = statistics.median(found)
        if name == "crp_mg_dl" and median > HIGHEST_MEDIAN_MG_DL:
            queries.ask(QueryKind.IMPLAUSIBLE, None, column, "CRP in mg/dL, mostly under 4",
                        f"{len(found)} values with a median of {median:g}, as in mg/L",
                        "rename the column to crp_mg_l if that is the unit", file=file)  # fmt: skip
            for key in keys:
                del visits[key][0][name]
        if name == "crp_mg_l" and max(found) < LARGEST_LOW_MG_L and median > 0:
            queries.ask(QueryKind.IMPLAUSIBLE, None, column, "CRP in mg/L, some over 3",
                        f"{len(found)} values of at most {max(found):g}, as in mg/dL",
                        "rename the column to crp_mg_dl if that is the unit", left_out="nothing",
                        file=file)  # fmt: skip


def ask_about_forms(visits: _Values, protocol: Protocol, queries: Queries) -> None:
    """Visits that the site scores with the other form of ASDAS, and those that have only the other blood test."""
    form = protocol.instruments.asdas_form
    wanted = {AsdasForm.CRP: ("crp_mg_l", "crp_mg_dl"), AsdasForm.ESR: ("esr_mm_h",)}
    other = AsdasForm.ESR if form is AsdasForm.CRP else AsdasForm.CRP
    has_wanted = {key[0] for key, (values, _) in visits.items() if any(name in values for name in wanted[form])}
    for key, (values, rows) in visits.items():
        said = str(values.get("asdas_form", form.value)).casefold().removeprefix("asdas").strip(" -_")
        if said == other.value:
            queries.ask(QueryKind.MIXED_FORMS, rows["asdas_form"], "asdas_form", f"ASDAS-{form.name} at every visit",
                        f"ASDAS-{other.name}", f"both are computed here; the target uses ASDAS-{form.name} alone: give "
                        f"its blood test", left_out="nothing", visit=key[1])  # fmt: skip
        elif key[0] in has_wanted and not any(name in values for name in wanted[form]):
            present = next((name for name in wanted[other] if name in values), None)
            if present is not None:
                queries.ask(QueryKind.MIXED_FORMS, rows[present], present, f"{form.name} at every visit of a person",
                            f"only {other.name} at {key[1]}", f"fill in {form.name}: ASDAS-{other.name} never stands "
                            f"in for ASDAS-{form.name}", left_out="nothing", visit=key[1])  # fmt: skip
