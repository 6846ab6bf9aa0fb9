"""A morning report before it is written in a language: which studies it lists, and how it counts them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from statistics import median
from typing import Final

from sparcc_pipeline.app.nightly.morning.studies import (
    NEEDS_ATTENTION,
    Counts,
    Delivery,
    NightCounts,
    Site,
    Standing,
    StudyNow,
)
from sparcc_pipeline.message import Message

NIGHT: Final = timedelta(hours=24)
"""The time that one report covers; earlier nights are as long."""


@dataclass(frozen=True)
class Morning:
    """A morning report before it is written in a language.

    Parameters
    ----------
    made_at : end of the night that the report covers
    zone : zone of the times that it shows
    studies : all known versions of all sites
    nights_shown : bars of the plot
    problems : errors of the night as a whole, such as a step that could not run
    """

    made_at: datetime
    zone: tzinfo
    sites: tuple[Site, ...]
    studies: tuple[StudyNow, ...]
    nights_shown: int
    problems: tuple[Message, ...] = ()

    @property
    def began(self) -> datetime:
        """The begin of the night."""
        return self.made_at - NIGHT

    def of_site(self, code: str) -> Morning:
        """Return the report of one site, without the problems of the night."""
        return Morning(
            self.made_at,
            self.zone,
            tuple(site for site in self.sites if site.code == code),
            tuple(study for study in self.studies if study.site == code),
            self.nights_shown,
        )

    def in_night(self, moment: datetime | None) -> bool:
        """Return True for a time in the night that the report covers."""
        return moment is not None and self.began < moment <= self.made_at

    def needing_attention(self) -> list[StudyNow]:
        """Return the studies that wait for a person: in each group first those of this night, then the oldest.

        A rejected study is left out once its visit is scored from images that came later.
        """
        scored_since: dict[tuple[str, str | None, str | None], datetime] = {
            (s.site, s.participant, s.visit): max(s.received_at, s.scored_at or s.received_at)
            for s in self.studies
            if s.standing is Standing.SCORED and s.participant is not None
        }

        def last_scored(study: StudyNow) -> datetime:
            return scored_since.get((study.site, study.participant, study.visit), study.received_at)

        listed = [
            study
            for study in self.studies
            if study.standing in NEEDS_ATTENTION
            and not study.superseded
            and not (study.standing is Standing.REJECTED and last_scored(study) > study.received_at)
        ]
        return sorted(
            listed, key=lambda s: (NEEDS_ATTENTION.index(s.standing), not self.in_night(s.since), s.since, s.study)
        )

    def in_work(self) -> list[StudyNow]:
        """Return the studies and uploads that the program goes on with by itself, the oldest first."""
        found = [s for s in self.studies if s.standing in (Standing.IN_WORK, Standing.RETRYING) and not s.superseded]
        return sorted(found, key=lambda s: (s.received_at, s.study))

    def stuck_deliveries(self) -> list[StudyNow]:
        """Return scored studies whose delivery failed: first those given up, then the oldest."""
        stuck = [s for s in self.studies if s.delivery_reason is not None and s.delivery is not Delivery.DONE]
        return sorted(stuck, key=lambda s: (s.delivery is not Delivery.GIVEN_UP, s.since, s.study))

    def scored(self) -> list[StudyNow]:
        """Return the studies scored in the night."""
        found = [s for s in self.studies if s.standing is Standing.SCORED and self.in_night(s.scored_at)]
        return sorted(found, key=lambda s: (s.site, s.participant or "", s.visit or "", s.study))

    def deviating(self) -> list[StudyNow]:
        """Return studies scored in the night with a deviation from the imaging protocol."""
        found = [s for s in self.studies if s.deviations and self.in_night(s.scored_at) and not s.superseded]
        return sorted(found, key=lambda s: (s.site, s.participant or "", s.visit or "", s.study))

    def not_compared(self) -> list[StudyNow]:
        """Return follow-ups scored in the night whose change since baseline could not be computed."""
        found = [s for s in self.studies if s.not_compared and self.in_night(s.scored_at) and not s.superseded]
        return sorted(found, key=lambda s: (s.site, s.participant or "", s.visit or "", s.study))

    def without_score(self) -> list[StudyNow]:
        """Return studies of the night to which the method does not apply."""
        found = [s for s in self.studies if s.standing is Standing.UNSCORABLE and self.in_night(s.since)]
        return sorted(found, key=lambda s: (s.site, s.since, s.study))

    def counts(self) -> Counts:
        """Return the figures of all sites of this report together."""
        current = [study for study in self.studies if not study.superseded]
        needing = self.needing_attention()
        seconds = self._to_score()
        waiting = [s for s in current if s.standing in (Standing.IN_WORK, Standing.RETRYING)]

        def now(standing: Standing) -> int:
            return sum(study.standing is standing for study in current)

        def need(standing: Standing) -> int:
            return sum(study.standing is standing for study in needing)

        return Counts(
            received=sum(self.in_night(s.received_at) for s in self.studies),
            scored=sum(s.standing is Standing.SCORED and self.in_night(s.scored_at) for s in self.studies),
            unscorable=len(self.without_score()),
            delivered=sum(s.delivery is Delivery.DONE and self.in_night(s.since) for s in self.studies),
            quarantined=need(Standing.QUARANTINED),
            rejected=need(Standing.REJECTED),
            failed=need(Standing.GIVEN_UP),
            retrying=now(Standing.RETRYING),
            in_work=now(Standing.IN_WORK),
            deliveries_pending=sum(s.delivery in (Delivery.PENDING, Delivery.GIVEN_UP) for s in current),
            superseded=sum(s.superseded and self.in_night(s.since) for s in self.studies),
            deviations=len(self.deviating()),
            to_score_median=timedelta(seconds=median(seconds)) if seconds else None,
            to_score_worst=timedelta(seconds=max(seconds)) if seconds else None,
            oldest_waiting=max((self.made_at - s.received_at for s in waiting), default=None),
        )

    def nights(self) -> tuple[NightCounts, ...]:
        """Return the last nights, the oldest first; each ends at the time of day of this report."""
        ends = [self.made_at - NIGHT * back for back in reversed(range(self.nights_shown))]
        return tuple(_night(end, [s for s in self.studies if end - NIGHT < s.received_at <= end]) for end in ends)

    def _to_score(self) -> list[float]:
        return _seconds(s for s in self.studies if self.in_night(s.scored_at))


def _night(ends: datetime, studies: Sequence[StudyNow]) -> NightCounts:
    seconds = _seconds(studies)
    current = [study for study in studies if not study.superseded]

    def number(*standings: Standing) -> int:
        return sum(study.standing in standings for study in current)

    return NightCounts(
        ends=ends,
        scored=number(Standing.SCORED),
        unscorable=number(Standing.UNSCORABLE),
        waiting=number(Standing.IN_WORK, Standing.RETRYING),
        needs_attention=number(*NEEDS_ATTENTION),
        to_score_median=timedelta(seconds=median(seconds)) if seconds else None,
        to_score_worst=timedelta(seconds=max(seconds)) if seconds else None,
    )


def _seconds(studies: Iterable[StudyNow]) -> list[float]:
    return [taken.total_seconds() for study in studies if (taken := study.to_score) is not None]
