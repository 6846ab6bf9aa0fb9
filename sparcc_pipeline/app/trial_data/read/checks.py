"""Checks of whole visits and columns: missing items, mixed forms of ASDAS.

Contents: `ask_about_missing`, `ask_about_forms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sparcc_pipeline.app.trial_data.read.queries import CheckedRow, Queries
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial import instruments as ins
from sparcc_pipeline.trial.instruments import AsdasForm
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.records import QueryKind

_BLOOD_TEST: Final[Mapping[AsdasForm, tuple[str, ...]]] = {
    AsdasForm.CRP: ("crp_mg_l", "crp_mg_dl"),
    AsdasForm.ESR: ("esr_mm_h",),
}
_QUESTIONNAIRES: Final[Mapping[str, tuple[str, ...]]] = {
    label: tuple(f"{name}_{n}" for n in range(1, count + 1))
    for name, label, count in (
        ("basdai", "BASDAI", ins.BASDAI_ITEMS),
        ("basfi", "BASFI", ins.BASFI_ITEMS),
        ("asas_hi", "ASAS-HI", ins.ASAS_HI_ITEMS),
        ("asqol", "ASQoL", ins.ASQOL_ITEMS),
    )
}
_IF_KNOWN: Final = Message("fill it in if it is known; it counts as missing until then")

_Values = Mapping[tuple[str, str], tuple[dict[str, Any], Mapping[str, CheckedRow]]]


def ask_about_missing(visits: _Values, protocol: Protocol, queries: Queries) -> None:
    """Ask about questionnaires answered in part and about missing values of the protocol's ASDAS; leave nothing out."""
    asked = {(query.file, query.row, query.column) for query in queries}
    mixed = {(query.participant, query.visit) for query in queries if query.kind is QueryKind.MIXED_FORMS}
    needed = (("patient_global",), _BLOOD_TEST[protocol.instruments.asdas_form])
    for key, (values, rows) in visits.items():
        row = rows["visit"]
        for label, items in _QUESTIONNAIRES.items():
            missing = [name for name in items if name not in values]
            open_ = [name for name in missing if (row.file, row.number, row.columns.get(name, name)) not in asked]
            if open_ and len(missing) < len(items):
                queries.ask(
                    QueryKind.MISSING,
                    row,
                    open_[0],
                    Message("all {count} items of {label}", count=len(items), label=label),
                    Message("{count} missing: {names}", count=len(missing), names=" ".join(missing)),
                    _IF_KNOWN,
                    left_out="nothing",
                    visit=key[1],
                )
        for names in needed:
            present = any(
                name in values or (row.file, row.number, row.columns.get(name, name)) in asked for name in names
            )
            if not present and key not in mixed:
                queries.ask(
                    QueryKind.MISSING,
                    row,
                    names[0],
                    Message("what ASDAS needs: {names}", names=" / ".join(names)),
                    Message("none"),
                    _IF_KNOWN,
                    left_out="nothing",
                    visit=key[1],
                )


def ask_about_forms(visits: _Values, protocol: Protocol, queries: Queries) -> None:
    """Ask about visits that use the other form of ASDAS, or have only the other blood test."""
    form = protocol.instruments.asdas_form
    other = AsdasForm.ESR if form is AsdasForm.CRP else AsdasForm.CRP
    has_wanted = {key[0] for key, (values, _) in visits.items() if any(name in values for name in _BLOOD_TEST[form])}
    for key, (values, rows) in visits.items():
        used = str(values.get("asdas_form", form.value)).casefold().removeprefix("asdas").strip(" -_")
        if used == other.value:
            queries.ask(
                QueryKind.MIXED_FORMS,
                rows["asdas_form"],
                "asdas_form",
                Message("ASDAS-{form} at every visit", form=form.name),
                Message("ASDAS-{form}", form=other.name),
                Message(
                    "both are computed here; the target uses ASDAS-{form} alone: give its blood test", form=form.name
                ),
                left_out="nothing",
                visit=key[1],
            )
        elif key[0] in has_wanted and not any(name in values for name in _BLOOD_TEST[form]):
            present = next((name for name in _BLOOD_TEST[other] if name in values), None)
            if present is not None:
                queries.ask(
                    QueryKind.MIXED_FORMS,
                    rows[present],
                    present,
                    Message("{form} at every visit of a person", form=form.name),
                    Message("only {form} at {visit}", form=other.name, visit=key[1]),
                    Message(
                        "fill in {form}: ASDAS-{other} never stands in for ASDAS-{form}",
                        form=form.name,
                        other=other.name,
                    ),
                    left_out="nothing",
                    visit=key[1],
                )
