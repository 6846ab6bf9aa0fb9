"""What a trial records: participants, clinical visits, and the queries that bad data raise.

There: `Participant`, `Screening`, `ClinicalVisit`, `TrialData`, `DataQuery`, `QueryKind`. Nothing here has a field for
the arm or the dose: what a blinded person may see is made of these types only. Days are counted from the baseline
visit (day 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.instruments import (
    ASAS_HI_ITEMS,
    ASQOL_ITEMS,
    BASDAI_ITEMS,
    BASFI_ITEMS,
    AsdasForm,
)
from sparcc_pipeline.trial.items import ItemReading
from sparcc_pipeline.trial.nsaid import NsaidIntake
from sparcc_pipeline.trial.reading import MachineScore, Reading


@dataclass(frozen=True)
class Screening:
    """Values at entry that eligibility needs; None is not known. ULN: the laboratory's upper limit of normal."""

    age_years: float | None = None
    alt_u_l: float | None = None
    alt_uln_u_l: float | None = None
    ast_u_l: float | None = None
    ast_uln_u_l: float | None = None
    bilirubin_umol_l: float | None = None
    bilirubin_uln_umol_l: float | None = None
    egfr_ml_min: float | None = None
    haemoglobin_g_l: float | None = None
    neutrophils_1e9_l: float | None = None
    platelets_1e9_l: float | None = None


@dataclass(frozen=True)
class Participant:
    """One person of the trial, by its trial number: never a name."""

    participant: str
    site: str | None = None
    screening: Screening = Screening()


@dataclass(frozen=True)
class ClinicalVisit:
    """What was asked and measured at one visit; None is missing, never 0.

    Parameters
    ----------
    visit : identifier of the planned visit
    day : days since the participant's baseline visit
    basdai, basfi, asas_hi, asqol : items in their numbered order
    patient_global : 0-10
    crp_mg_l, esr_mm_h : always in these units
    asdas_form : the form of ASDAS that the site says it uses
    nsaids : None where it is not known what was taken, empty where nothing was
    rescue : rescue treatment was recorded since the visit before
    """

    participant: str
    visit: str
    day: int | None = None
    basdai: tuple[float | None, ...] = (None,) * BASDAI_ITEMS
    patient_global: float | None = None
    crp_mg_l: float | None = None
    esr_mm_h: float | None = None
    asdas_form: AsdasForm | None = None
    basfi: tuple[float | None, ...] = (None,) * BASFI_ITEMS
    asas_hi: tuple[float | None, ...] = (None,) * ASAS_HI_ITEMS
    asqol: tuple[float | None, ...] = (None,) * ASQOL_ITEMS
    nsaids: tuple[NsaidIntake, ...] | None = None
    nsaid_period_days: float | None = None
    rescue: bool | None = None


class QueryKind(Enum):
    """What is wrong with a piece of data; the value is its name in tables."""

    MISSING = "missing"
    OUT_OF_RANGE = "out of range"
    IMPLAUSIBLE = "implausible"
    NOT_A_NUMBER = "not a number"
    NOT_A_DATE = "not a date"
    NOT_ALLOWED = "not allowed"
    UNKNOWN_COLUMN = "unknown column"
    UNKNOWN_PARTICIPANT = "unknown participant"
    UNKNOWN_VISIT = "unknown visit"
    DUPLICATE = "duplicate"
    OUT_OF_WINDOW = "out of window"
    WRONG_PERSON = "another participant"
    MIXED_FORMS = "mixed forms of ASDAS"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class DataQuery:
    """A question to the site: where, what was expected, what was found, what to do.

    Parameters
    ----------
    file : name of the file, without its folder
    row : as a spreadsheet counts it, the header being 1; None for a whole file or column
    column : as the file calls it; None for a whole row
    found : a message, or the value as the file has it
    left_out : what does not count until the query is answered: "value", "row" or "nothing"
    """

    kind: QueryKind
    file: str
    row: int | None
    column: str | None
    participant: str | None
    visit: str | None
    expected: Message
    found: str
    remedy: Message
    left_out: str = "value"

    @property
    def message(self) -> str:
        """The query as one sentence."""
        place = [self.file]
        if self.row is not None:
            place.append(f"row {self.row}")
        if self.column is not None:
            place.append(f"column {self.column!r}")
        return f"{', '.join(place)}: expected {self.expected}, found {self.found}; {self.remedy}"


@dataclass(frozen=True)
class TrialData:
    """All that was read of a trial and can be used, with the queries about the rest. Nothing here tells the arm."""

    participants: Sequence[Participant]
    visits: Sequence[ClinicalVisit]
    readings: Sequence[Reading] = ()
    scores: Sequence[MachineScore] = ()
    items: Sequence[ItemReading] = ()
    queries: Sequence[DataQuery] = ()
