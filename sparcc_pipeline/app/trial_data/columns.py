"""Columns of the output tables with meaning, unit and CDISC-like name.

Contents: one tuple of columns a table, `codebook_rows`, `cdisc_rows`. Tables are tidy: one row an observation, one
column a variable. An empty cell means missing, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sparcc_pipeline.app.results.tables import Column, ColumnKind, Row
from sparcc_pipeline.app.trial_data.read.dictionary import fields_of
from sparcc_pipeline.app.trial_data.read.fields import Kind, Place
from sparcc_pipeline.trial.protocol.choices import ClinicalDefinition, ImagingDefinition

_T, _N, _W, _Y, _D = ColumnKind
_KINDS: Final = {
    Kind.IDENTIFIER: _T,
    Kind.TEXT: _T,
    Kind.WORD: _T,
    Kind.NUMBER: _N,
    Kind.DETECTABLE: _N,
    Kind.WHOLE: _W,
    Kind.YES_NO: _Y,
    Kind.DATE: _D,
}

_PARTICIPANT: Final = Column("participant", "trial number of the participant", cdisc="DM.SUBJID")
_SITE: Final = Column("site", "site", cdisc="DM.SITEID")
_VISIT: Final = Column("visit", "planned visit", cdisc="SV.VISIT")
_WEEK: Final = Column("week", "planned week after baseline", _W, "weeks", "SV.VISITNUM")
_DAY: Final = Column("day", "days since the baseline visit, which is day 0", _W, "days")
_STUDY_DAY: Final = Column(
    "study_day", "study day as in SDTM: the baseline is day 1, there is no day 0", _W, "", "SV.SVSTDY"
)
_TIMING: Final = Column("timing", "in window, early, late, unknown, not recorded", cdisc="SV.TIMING")


def _from_dictionary(*places: Place, without: Sequence[str] = ()) -> tuple[Column, ...]:
    return tuple(
        Column(each.name, each.label, _KINDS[each.kind], each.unit, each.cdisc)
        for each in fields_of(*places)
        if each.name not in without
    )


PARTICIPANTS: Final = (_PARTICIPANT, *_from_dictionary(Place.PARTICIPANT))

_SCORES: Final = (
    ("asdas_crp", "ASDAS-CRP", "QS.ASDASCRP"),
    ("asdas_esr", "ASDAS-ESR", "QS.ASDASESR"),
    ("basdai", "BASDAI, 0-10", "QS.BASDAI"),
    ("basfi", "BASFI, 0-10", "QS.BASFI"),
    ("asas_hi", "ASAS-HI, 0-17", "QS.ASASHI"),
    ("asqol", "ASQoL, 0-18", "QS.ASQOL"),
    ("nsaid_index", "NSAID index, 100 is a full dose", "CM.NSAIDIDX"),
)

VISITS: Final = (
    _PARTICIPANT,
    _VISIT,
    _WEEK,
    _DAY,
    _STUDY_DAY,
    _TIMING,
    *_from_dictionary(Place.VISIT, without=("participant", "visit", "crp_mg_dl")),
    Column("crp_limit_mg_l", "limit of detection where CRP was below it", _N, "mg/L", "LB.LBSTRESC"),
    *(Column(name, label, _N, "", cdisc) for name, label, cdisc in _SCORES),
)

INSTRUMENTS: Final = (
    _PARTICIPANT,
    _VISIT,
    _WEEK,
    Column("instrument", "asdas_crp, asdas_esr, basdai, basfi, asas_hi, asqol, nsaid_index", cdisc="QS.QSTESTCD"),
    Column("value", "value; empty where items are missing", _N, "", "QS.QSSTRESN"),
    Column("items_used", "number of items used", _W),
    Column("missing", "names of missing items, separated by blanks", cdisc="QS.QSREASND"),
    Column("reason", "why there is no value, or the substitute rule", cdisc="QS.QSREASND"),
)

READINGS: Final = _from_dictionary(Place.READING)

ITEMS: Final = (
    _PARTICIPANT,
    _VISIT,
    Column("reader", 'reader; "machine" is the score', cdisc="MO.MOEVALID"),
    Column("adjudicator", "third reading", _Y, "", "MO.ADJUD"),
    *_from_dictionary(Place.ITEM, without=("participant", "visit", "reader", "kind", "slice", "reason")),
)

SCORES: Final = (
    _PARTICIPANT,
    _VISIT,
    Column("total", "SPARCC of the machine, 0-72; empty where not scored", _W, "", "MO.SPARCC"),
    Column("expected", "mean of the total under the model's probabilities", _N),
    Column("low_90", "lower end of the 90 % interval of the total", _N),
    Column("high_90", "upper end of the 90 % interval of the total", _N),
    Column("probability_remission", "P(SPARCC < 2)", _N),
    Column("evaluable_maximum", "largest total possible in this study", _W),
    Column("spacing_mm", "distance of the slices", _N, "mm"),
    Column("asas_positive", "ASAS-positive MRI by the score", _Y, "", "MO.ASASPOS"),
    Column("study_uid", "DICOM study UID", cdisc="MO.MOREFID"),
    Column("model", "model and version", cdisc="MO.MOEVALID"),
    Column("reason", "why there is no score", cdisc="MO.MOREASND"),
)

QUERIES: Final = (
    Column("kind", "kind of query"),
    Column("file", "file"),
    Column("row", "row as in a spreadsheet, header 1", _W),
    Column("column", "header in the file"),
    _PARTICIPANT,
    _VISIT,
    Column("expected", "what was expected"),
    Column("found", "what was found"),
    Column("remedy", "what to do"),
    Column("left_out", "part that does not count until the query is answered: value, row, nothing"),
)

STATUS: Final = (
    _PARTICIPANT,
    _SITE,
    _VISIT,
    _WEEK,
    _DAY,
    _STUDY_DAY,
    _TIMING,
    Column("status", "dual target: both, clinical only, imaging only, neither, not assessable"),
    Column("probability_imaging", "probability that the imaging half is met given the score's uncertainty", _N),
    Column("asdas", "ASDAS in the protocol's form", _N, "", "QS.ASDAS"),
    Column("activity", "disease activity by ASDAS"),
    Column("improvement", "improvement of ASDAS since baseline"),
    Column("asdas_change", "change of ASDAS since baseline", _N),
    Column("sparcc", "SPARCC that counts", _N, "", "MO.SPARCC"),
    Column("sparcc_change", "change of SPARCC since baseline", _N),
    Column("score_source", "two locked readings, adjudicated, machine, none"),
    Column("readers", "readers whose readings count, separated by blanks"),
    Column("reader_difference", "difference between the two readers", _N),
    *(
        column
        for each in ClinicalDefinition
        for column in (
            Column(f"clinical_{each.value}", f"clinical half met, definition {each.value}", _Y),
            Column(f"distance_{each.value}", f"ASDAS minus the cut-off of {each.value}", _N),
        )
    ),
    *(Column(f"imaging_{each.value}", f"imaging half met, definition {each.value}", _Y) for each in ImagingDefinition),
    Column("distance_sparcc", "SPARCC minus the cut-off", _N),
    *(
        Column(f"status_{c.value}_{i.value}", f"dual target with {c.value} and {i.value}")
        for c in ClinicalDefinition
        for i in ImagingDefinition
    ),
    Column("confirmed", "target met by the protocol's condition: one visit, two visits, or a second scan", _Y),
    Column("sustained", "target sustained by the protocol's definition; empty where unknown or not asked", _Y),
    Column("flare", "flare by the protocol's definition", _Y),
    Column("rescue", "rescue treatment was recorded", _Y),
    Column("reasons", "why a half is not assessable"),
)

ELIGIBILITY: Final = (
    _PARTICIPANT,
    _SITE,
    Column("criterion", "entry criterion"),
    Column("expected", "what the protocol expects"),
    Column("found", "what was found"),
    Column("state", "met, not met, unknown", cdisc="IE.IEORRES"),
)

STEPS: Final = (
    _PARTICIPANT,
    Column("arm", "arm", cdisc="DM.ARM"),
    Column("step", "step of the taper", _W),
    Column("dose", "dose of the step in the protocol"),
    Column("criterion", "the protocol's criterion for the step: met, not met, not assessable"),
    Column("visits", "visits that decide the criterion, separated by blanks"),
    Column("recorded_at", "visit from which the step was recorded; empty if it was not"),
    Column("returned_at", "visits with an earlier step than before, separated by blanks"),
    Column("note", "why the criterion is not assessable"),
    Column("agrees", "a recorded step follows a criterion that was met; empty if one of the two is missing", _Y),
)

CODEBOOK: Final = (
    Column("table", "table"),
    Column("column", "column"),
    Column("label", "meaning"),
    Column("type", "type"),
    Column("unit", "unit"),
)

CDISC: Final = (
    Column("table", "table"),
    Column("column", "column"),
    Column("domain", "CDISC-like domain"),
    Column("variable", "CDISC-like variable or test code"),
)


def codebook_rows(tables: Mapping[str, Sequence[Column]]) -> list[Row]:
    """Return one row a column of these tables."""
    return [
        {"table": table, "column": c.name, "label": c.label, "type": c.kind.value, "unit": c.unit or None}
        for table, columns in tables.items()
        for c in columns
    ]


def cdisc_rows(tables: Mapping[str, Sequence[Column]]) -> list[Row]:
    """Return one row a column with a CDISC-like name."""
    return [
        {"table": table, "column": c.name, "domain": c.cdisc.split(".")[0], "variable": c.cdisc.partition(".")[2]}
        for table, columns in tables.items()
        for c in columns
        if c.cdisc
    ]


def study_day(day: int | None) -> int | None:
    """Return the study day of SDTM, which has no zero: the baseline is day 1, the day before it is -1.

    Examples
    --------
    >>> [study_day(day) for day in (-1, 0, 84, None)]
    [-1, 1, 85, None]
    """
    return None if day is None else day + (day >= 0)
