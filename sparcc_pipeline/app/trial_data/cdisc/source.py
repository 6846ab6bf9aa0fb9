"""The data of a trial as the datasets of an export read them.

Contents: `ExportData`, `ArmFacts`. Arm and dose are in `ArmFacts` alone; without it no dataset can hold them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sparcc_pipeline.app.trial_data.columns import study_day
from sparcc_pipeline.app.trial_data.read.sources import LoadedTrial
from sparcc_pipeline.app.trial_data.safety.read import Safety
from sparcc_pipeline.trial.assessment import VisitAssessment
from sparcc_pipeline.trial.monitoring.safety_records import Deviation
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.records import ClinicalVisit, Participant


@dataclass(frozen=True)
class ArmFacts:
    """Arm of each participant, and dose step by participant and visit."""

    arms: Mapping[str, str]
    steps: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class ExportData:
    """Everything that an export needs.

    Parameters
    ----------
    assessed : every planned visit of every participant
    arms : None for a blinded export
    """

    loaded: LoadedTrial
    safety: Safety
    deviations: Sequence[Deviation]
    assessed: Sequence[VisitAssessment]
    protocol: Protocol
    arms: ArmFacts | None = None

    @property
    def study(self) -> str:
        """STUDYID."""
        return self.protocol.registry

    @property
    def participants(self) -> Sequence[Participant]:
        """All participants."""
        return self.loaded.data.participants

    @cached_property
    def visits(self) -> Mapping[tuple[str, str], ClinicalVisit]:
        """Every clinical visit by participant and planned visit."""
        return {(each.participant, each.visit): each for each in self.loaded.data.visits}

    def key(self, domain: str, participant: str) -> dict[str, str]:
        """Return STUDYID, DOMAIN and USUBJID."""
        return {"STUDYID": self.study, "DOMAIN": domain, "USUBJID": self.subject(participant)}

    def subject(self, participant: str) -> str:
        """Return USUBJID."""
        return f"{self.study}-{participant}"

    def date(self, participant: str, visit: str) -> str | None:
        """Return the day of a visit, YYYY-MM-DD."""
        day = self.loaded.dates.get((participant, visit))
        return None if day is None else day.isoformat()

    def day(self, participant: str, visit: str) -> int | None:
        """Return the study day of a visit."""
        found = self.visits.get((participant, visit))
        return None if found is None else study_day(found.day)

    def number(self, visit: str) -> int:
        """Return VISITNUM: 1 for the baseline."""
        return [each.visit for each in self.protocol.visits].index(visit) + 1

    def start(self, participant: str) -> str | None:
        """Return the day of the baseline visit, the reference start (RFSTDTC)."""
        return self.date(participant, self.protocol.baseline.visit)

    def end(self, participant: str) -> str | None:
        """Return the day of the last visit (RFENDTC)."""
        days = [day for (name, _), day in self.loaded.dates.items() if name == participant]
        return max(days).isoformat() if days else None
