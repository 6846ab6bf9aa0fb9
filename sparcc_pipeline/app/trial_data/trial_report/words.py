"""Names of the core's states as messages, so that a trial report can be translated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.agreement.pairs import PairKind
from sparcc_pipeline.trial.allocation.sets import Exclusion
from sparcc_pipeline.trial.reading import ScoreSource
from sparcc_pipeline.trial.records import QueryKind
from sparcc_pipeline.trial.remission import TargetStatus
from sparcc_pipeline.trial.schedule import Timing
from sparcc_pipeline.trial.states import DiseaseActivity

STATUS: Final[Mapping[TargetStatus, Message]] = {
    TargetStatus.BOTH: Message("both"),
    TargetStatus.CLINICAL_ONLY: Message("clinical only"),
    TargetStatus.IMAGING_ONLY: Message("imaging only"),
    TargetStatus.NEITHER: Message("neither"),
    TargetStatus.NOT_ASSESSABLE: Message("not assessable"),
}

STATUS_LETTERS: Final[Mapping[TargetStatus, Message]] = {
    TargetStatus.BOTH: Message("B"),
    TargetStatus.CLINICAL_ONLY: Message("C"),
    TargetStatus.IMAGING_ONLY: Message("I"),
    TargetStatus.NEITHER: Message("N"),
    TargetStatus.NOT_ASSESSABLE: Message("?"),
}
"""Letters in the boxes of the timelines, because color alone must not carry meaning."""

ACTIVITY: Final[Mapping[DiseaseActivity, Message]] = {
    DiseaseActivity.INACTIVE: Message("inactive"),
    DiseaseActivity.LOW: Message("low"),
    DiseaseActivity.HIGH: Message("high"),
    DiseaseActivity.VERY_HIGH: Message("very high"),
}

SOURCES: Final[Mapping[ScoreSource, Message]] = {
    ScoreSource.TWO_READINGS: Message("two locked readings"),
    ScoreSource.ADJUDICATED: Message("adjudicated"),
    ScoreSource.MACHINE: Message("machine"),
    ScoreSource.NONE: Message("none"),
}

PAIRS: Final[Mapping[PairKind, Message]] = {
    PairKind.BETWEEN: Message("reader against reader"),
    PairKind.WITHIN: Message("reader against the same reader again"),
    PairKind.MACHINE: Message("machine against the readings"),
}
CHANGE: Final = Message("change since baseline")

MACHINE_AGAINST_READER: Final = Message("machine against reader")
"""Pair for quadrants; totals are compared with the score of the readings instead."""

TIMING: Final[Mapping[Timing, Message]] = {
    Timing.IN_WINDOW: Message("in window"),
    Timing.EARLY: Message("early"),
    Timing.LATE: Message("late"),
    Timing.UNKNOWN: Message("unknown day"),
    Timing.NOT_RECORDED: Message("not recorded"),
}

QUERIES: Final[Mapping[QueryKind, Message]] = {
    QueryKind.MISSING: Message("missing"),
    QueryKind.OUT_OF_RANGE: Message("out of range"),
    QueryKind.IMPLAUSIBLE: Message("implausible"),
    QueryKind.NOT_A_NUMBER: Message("not a number"),
    QueryKind.NOT_A_DATE: Message("not a date"),
    QueryKind.NOT_ALLOWED: Message("not allowed"),
    QueryKind.UNKNOWN_COLUMN: Message("unknown column"),
    QueryKind.UNKNOWN_PARTICIPANT: Message("unknown participant"),
    QueryKind.UNKNOWN_VISIT: Message("unknown visit"),
    QueryKind.DUPLICATE: Message("duplicate"),
    QueryKind.OUT_OF_WINDOW: Message("out of window"),
    QueryKind.WRONG_PERSON: Message("another participant"),
    QueryKind.MIXED_FORMS: Message("mixed forms of ASDAS"),
    QueryKind.UNREADABLE: Message("unreadable"),
}

LEFT_OUT: Final[Mapping[str, Message]] = {
    "value": Message("the value does not count"),
    "row": Message("the row does not count"),
    "nothing": Message("everything counts"),
}

EXCLUSION: Final[Mapping[Exclusion, Message]] = {
    Exclusion.NO_DATA: Message("no clinical data"),
    Exclusion.NOT_ELIGIBLE: Message("entry criteria not met"),
    Exclusion.ENTRY_UNKNOWN: Message("entry criteria not known"),
    Exclusion.NOT_FOLLOWED: Message("no record after the baseline"),
    Exclusion.DOSE: Message("dose against arm or protocol"),
    Exclusion.RESCUE: Message("rescue treatment"),
    Exclusion.NO_LAST_VISIT: Message("no primary outcome at the last visit"),
}

END_REASON: Final[Mapping[str, Message]] = {
    "lost_to_follow_up": Message("lost to follow-up"),
    "withdrew_consent": Message("withdrew consent"),
    "adverse_event": Message("adverse event"),
    "lack_of_effect": Message("lack of effect"),
    "decision_of_the_physician": Message("decision of the physician"),
    "pregnancy": Message("pregnancy"),
    "death": Message("death"),
    "other": Message("other reason"),
    "": Message("no reason recorded"),
}
"""Words for the end of a participation; "" where the site gave none."""

FLARE: Final = Message("flare")
RESCUE: Final = Message("rescue treatment")

INSTRUMENTS: Final[Mapping[str, str]] = {
    "asdas_crp": "ASDAS-CRP",
    "asdas_esr": "ASDAS-ESR",
    "basdai": "BASDAI",
    "basfi": "BASFI",
    "asas_hi": "ASAS-HI",
    "asqol": "ASQoL",
    "nsaid_index": "NSAID index",
    "SPARCC": "SPARCC",
}
"""Names of instruments: the same in every language."""

DOSES: Final[tuple[Message, ...]] = (
    Message("15 mg daily"),
    Message("5 mg every other day"),
    Message("15 mg every other day"),
    Message("15 mg, with two days between doses"),
    Message("15 mg every two days"),
)
"""Doses of `trial/schedule.py`; a test checks that none is missing."""

CRITERIA: Final[tuple[Message, ...]] = (
    Message("age"),
    Message("BASDAI"),
    Message("patient global"),
    Message("inflammation on MRI of the sacroiliac joints"),
    Message("ALT"),
    Message("AST"),
    Message("bilirubin"),
    Message("eGFR"),
    Message("haemoglobin"),
    Message("neutrophils"),
    Message("platelets"),
    Message("lymphocytes"),
    Message("heart failure"),
    Message("no pregnancy or breast-feeding"),
    Message("no malignancy"),
    Message("no tuberculosis"),
    Message("no live vaccine"),
    Message("every other inclusion criterion of the protocol"),
    Message("no other exclusion criterion of the protocol"),
)
"""Names of the entry criteria of `trial/eligibility.py`; a test checks that none is missing."""
