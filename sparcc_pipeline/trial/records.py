"""Records of a trial: participants, clinical visits, and queries about wrong data.

No type here has a field for the arm or the dose, so a blinded person may see all of them. Days count from the baseline
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
    """Values at entry that eligibility needs; None is unknown. ULN is the laboratory's upper limit of normal.

    More than ten fields: they are the columns of the participants' table, and each criterion reads one or two of them.

    Parameters
    ----------
    nyha_class : class of heart failure of the New York Heart Association, 1-4; 0 without heart failure
    pregnancy, malignancy, tuberculosis, live_vaccine : True if this exclusion is present
    other_inclusion_met, other_exclusion : the site's answer for all criteria of the protocol without a column here
    """

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
    lymphocytes_1e9_l: float | None = None
    nyha_class: int | None = None
    pregnancy: bool | None = None
    malignancy: bool | None = None
    tuberculosis: bool | None = None
    live_vaccine: bool | None = None
    other_inclusion_met: bool | None = None
    other_exclusion: bool | None = None


@dataclass(frozen=True)
class Participant:
    """One participant, by trial number, never by name.

    `end_reason` is why the participant left the trial, in one of the words of the data dictionary; None without one.
    """

    participant: str
    site: str | None = None
    screening: Screening = Screening()
    end_reason: str | None = None


@dataclass(frozen=True)
class ClinicalVisit:
    """Answers and measurements of one visit; None is missing, never 0.

    More than ten fields: they are the columns of the visits' table, one row a visit.

    Parameters
    ----------
    visit : identifier of the planned visit
    day : days since the participant's baseline visit
    basdai, basfi, asas_hi, asqol : items in their numbered order
    patient_global : 0-10
    crp_mg_l, esr_mm_h : always in these units
    crp_limit_mg_l : limit of detection where CRP was below it; `crp_mg_l` is then the value of the protocol's rule
    asdas_form : the form of ASDAS that the site uses
    nsaids : empty where no drug was taken; None where the intake is unknown
    rescue : True if rescue treatment was recorded since the visit before
    drug_ended : True if the study drug was ended for good since the visit before
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
    crp_limit_mg_l: float | None = None
    drug_ended: bool | None = None


class QueryKind(Enum):
    """Kinds of wrong data; the value is the name in tables."""

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
    """A question to the site: the place, the expected value, the value found, and the remedy.

    Parameters
    ----------
    file : name of the file, without its folder
    row : row number as in a spreadsheet, with the header as row 1; None for a whole file or column
    column : name of the column in the file; None for a whole row
    found : a message, or the value in the file
    left_out : the part that does not count until the query is answered: "value", "row" or "nothing"
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
    """All usable records of a trial, and the queries about the others. Nothing here shows the arm."""

    participants: Sequence[Participant]
    visits: Sequence[ClinicalVisit]
    readings: Sequence[Reading] = ()
    scores: Sequence[MachineScore] = ()
    items: Sequence[ItemReading] = ()
    queries: Sequence[DataQuery] = ()
