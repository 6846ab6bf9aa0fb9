"""The studies and figures of a morning report. Nothing here knows a database, a file or a language.

The standing of a study is that of its newest version. A study that needs attention waits for a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.message import Message


class Standing(Enum):
    """The standing of a study version, as the readers of the report need it."""

    IN_WORK = "in work"
    SCORED = "scored"
    UNSCORABLE = "unscorable"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"
    RETRYING = "retrying"
    GIVEN_UP = "failed"


class Delivery(Enum):
    """The state of delivery of a scored study."""

    NONE = "none"
    PENDING = "pending"
    DONE = "delivered"
    GIVEN_UP = "failed"


NEEDS_ATTENTION: Final = (Standing.QUARANTINED, Standing.REJECTED, Standing.GIVEN_UP)
"""The standings that wait for a person, in the order in which a coordinator should look at them."""


@dataclass(frozen=True)
class Reason:
    """The reason why a study waits.

    Parameters
    ----------
    what : the finding
    remedy : what to do; None: nothing
    quoted : the program's own English sentence, if `what` is a general one
    """

    what: Message
    remedy: Message | None = None
    quoted: str = ""


@dataclass(frozen=True)
class StudyNow:
    """One study version as the report shows it; it holds nothing that identifies a person.

    It has more than ten fields, since a row of `studies.csv` has as many columns.

    Parameters
    ----------
    study : its number in commands
    participant, visit : None until the manifest assigns them
    since : when its standing began
    next_try : time of the next attempt of a failed step
    not_compared : why the change since baseline could not be computed
    is_upload : an upload that is not sorted into studies; `study` is then its ID
    links : files of its result and of its change, relative to the work folder
    waits_for_manifest : it continues once the manifest has a row for it
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
    links: tuple[str, ...] = ()

    @property
    def to_score(self) -> timedelta | None:
        """Time from receipt to score."""
        return None if self.scored_at is None else self.scored_at - self.received_at


@dataclass(frozen=True)
class Site:
    """One hospital."""

    code: str
    name: str
    language: LanguageCode


@dataclass(frozen=True)
class Counts:
    """Figures of one site, or of all: what came and was done in the night, and what waits now.

    It has more than ten fields, since a row of `sites.csv` has as many columns.

    Parameters
    ----------
    to_score_median, to_score_worst : time from receipt to score of the studies scored in the night
    oldest_waiting : age of the oldest study that is not scored yet
    superseded : versions replaced by a fuller one in the night
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
        """Studies that wait for a person."""
        return self.quarantined + self.rejected + self.failed


@dataclass(frozen=True)
class NightCounts:
    """One bar of the plot: the studies received in one night by their standing now, and the time to score."""

    ends: datetime
    scored: int
    unscorable: int
    waiting: int
    needs_attention: int
    to_score_median: timedelta | None
    to_score_worst: timedelta | None

    @property
    def received(self) -> int:
        """All studies of the night."""
        return self.scored + self.unscorable + self.waiting + self.needs_attention
