"""What a morning report is made of, and how it is counted. Nothing here knows a database, a file or a language.

A study stands where its newest version stands. "Needs somebody" means: nothing more happens to it until a person acts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import Enum
from statistics import median
from typing import Final

from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.message import Message

NIGHT: Final = timedelta(hours=24)
"""What one report looks back on; the nights before are as long."""


class Standing(Enum):
    """Where a study version stands, by what it means for the people who read the report."""

    IN_WORK = "in work"
    SCORED = "scored"
    UNSCORABLE = "unscorable"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"
    RETRYING = "retrying"
    GIVEN_UP = "failed"


class Delivery(Enum):
    """Where the results of a scored study are."""

    NONE = "none"
    PENDING = "pending"
    DONE = "delivered"
    GIVEN_UP = "failed"


NEEDS_ATTENTION: Final = (Standing.QUARANTINED, Standing.REJECTED, Standing.GIVEN_UP)
"""In the order in which a coordinator should look at them."""


@dataclass(frozen=True)
class Reason:
    """Why a study does not go on.

    Parameters
    ----------
    what : what was found
    remedy : what to do, for whom can do it; None where there is nothing to do
    quoted : the program's own English words, where `what` says it in general
    """

    what: Message
    remedy: Message | None = None
    quoted: str = ""


@dataclass(frozen=True)
class StudyNow:
    """One study version as the report shows it; it holds nothing that identifies a person.

    Parameters
    ----------
    study : how the commands call it
    participant, visit : None until the manifest has said
    since : when it came to stand where it does
    next_try : when a failed step is tried again
    not_compared : why the change since baseline could not be computed
    is_upload : an upload that is not sorted into studies; `study` is then its ID
    waits_for_manifest : it goes on by itself once the manifest knows it
    """

    study: str
    site: str
    version: int
    participant: str | None
    visit: str | None
    standing: Standing
    received_at: datetime
    since: datetime
    files: int = 0
    reasons: tuple[Reason, ...] = ()
    scored_at: datetime | None = None
    total: int | None = None
    attempts: int = 0
    next_try: datetime | None = None
    delivery: Delivery = Delivery.NONE
    delivery_reason: Reason | None = None
    deviations: tuple[Message, ...] = ()
    not_compared: Reason | None = None
    superseded: bool = False
    is_upload: bool = False
    waits_for_manifest: bool = False

    @property
    def to_score(self) -> timedelta | None:
        """From the last file to the score."""
        return None if self.scored_at is None else self.scored_at - self.received_at


@dataclass(frozen=True)
class Site:
    """One hospital."""

    code: str
    name: str
    language: LanguageCode


@dataclass(frozen=True)
class Counts:
    """Figures of one site, or of all: of the night what came and was done, of the present what waits.

    Parameters
    ----------
    to_score_median, to_score_worst : of what was scored in the night
    oldest_waiting : age of the oldest study that is still to be scored
    superseded : versions that a fuller one replaced in the night
    """

    received: int
    scored: int
    unscorable: int
    delivered: int
    quarantined: int
    rejected: int
    failed: int
    retrying: int
    in_work: int
    deliveries_pending: int
    superseded: int
    deviations: int
    to_score_median: timedelta | None
    to_score_worst: timedelta | None
    oldest_waiting: timedelta | None

    @property
    def needs_attention(self) -> int:
        """Studies that go nowhere until a person acts."""
        return self.quarantined + self.rejected + self.failed


@dataclass(frozen=True)
class NightCounts:
    """One bar of the plot: what was received in one night, by where it stands now, and how long scoring took."""

    ends: datetime
    scored: int
    unscorable: int
    waiting: int
    needs_attention: int
    to_score_median: timedelta | None
    to_score_worst: timedelta | None

    @property
    def received(self) -> int:
        """All of the night."""
        return self.scored + self.unscorable + self.waiting + self.needs_attention


@dataclass(frozen=True)
class Morning:
    """A morning report before it is written in a language.

    Parameters
    ----------
    made_at : the report looks back from here
    zone : in which times are shown
    studies : all versions that are known, of all sites
    nights_shown : bars of the plot
    problems : what is wrong with the night as a whole, such as a step that could not run
    """

    made_at: datetime
    zone: tzinfo
    sites: tuple[Site, ...]
    studies: tuple[StudyNow, ...]
    nights_shown: int
    problems: tuple[Message, ...] = ()

    @property
    def began(self) -> datetime:
        """Begin of the night."""
        return self.made_at - NIGHT

    def of_site(self, code: str) -> Morning:
        """The same for one site alone, without what concerns the whole."""
        return Morning(
            self.made_at,
            self.zone,
            tuple(site for site in self.sites if site.code == code),
            tuple(study for study in self.studies if study.site == code),
            self.nights_shown,
        )

    def in_night(self, moment: datetime | None) -> bool:
        """True if it happened in the night that the report looks back on."""
        return moment is not None and self.began < moment <= self.made_at

    def needing_attention(self) -> list[StudyNow]:
        """Quarantined, rejected, failed; in each group first those of this night, then what has waited longest.

        A rejected study is settled, and not listed, when the same visit has been scored from what was sent since.
        """
        settled: dict[tuple[str, str | None, str | None], datetime] = {
            (s.site, s.participant, s.visit): max(s.received_at, s.scored_at or s.received_at)
            for s in self.studies
            if s.standing is Standing.SCORED and s.participant is not None
        }
        listed = [
            study
            for study in self.studies
            if study.standing in NEEDS_ATTENTION
            and not study.superseded
            and not (
                study.standing is Standing.REJECTED
                and settled.get((study.site, study.participant, study.visit), study.received_at) > study.received_at
            )
        ]
        return sorted(
            listed, key=lambda s: (NEEDS_ATTENTION.index(s.standing), not self.in_night(s.since), s.since, s.study)
        )

    def stuck_deliveries(self) -> list[StudyNow]:
        """Scored studies whose delivery has failed at least once; given up ones first, then the oldest."""
        stuck = [s for s in self.studies if s.delivery_reason is not None and s.delivery is not Delivery.DONE]
        return sorted(stuck, key=lambda s: (s.delivery is not Delivery.GIVEN_UP, s.since, s.study))

    def deviating(self) -> list[StudyNow]:
        """Studies scored in the night with a deviation from the protocol."""
        found = [s for s in self.studies if s.deviations and self.in_night(s.scored_at) and not s.superseded]
        return sorted(found, key=lambda s: (s.site, s.participant or "", s.visit or "", s.study))

    def not_compared(self) -> list[StudyNow]:
        """Follow-ups scored in the night whose change since baseline could not be computed."""
        found = [s for s in self.studies if s.not_compared and self.in_night(s.scored_at) and not s.superseded]
        return sorted(found, key=lambda s: (s.site, s.participant or "", s.visit or "", s.study))

    def without_score(self) -> list[StudyNow]:
        """Studies of the night to which the method does not apply."""
        found = [s for s in self.studies if s.standing is Standing.UNSCORABLE and self.in_night(s.since)]
        return sorted(found, key=lambda s: (s.site, s.since, s.study))

    def counts(self) -> Counts:
        """The figures of all sites of this report together."""
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
        """The last nights, the oldest first; a night ends at the time of day at which this report was made."""
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
