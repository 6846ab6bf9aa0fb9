"""The rows of the ledger as values, for steps and reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from sparcc_pipeline.app.ledger.states import ChangeState, State, UploadState
from sparcc_pipeline.message import Message, from_plain


@dataclass(frozen=True)
class FileRecord:
    """One file of an upload.

    Parameters
    ----------
    content_key : keyed hash of its bytes
    instance_key : keyed hash of its SOP instance UID; None: not a DICOM instance
    """

    content_key: str
    bytes: int
    instance_key: str | None = None


@dataclass(frozen=True)
class UploadRecord:
    """An upload as intake reports it.

    Parameters
    ----------
    id : name of its folder; chosen by intake, never by a site
    way : "dicom", "inbox" or "pull"
    """

    id: str
    site: str
    way: str
    files: Sequence[FileRecord]


@dataclass(frozen=True)
class Upload:
    """An upload and its state."""

    id: str
    site: str
    way: str
    state: UploadState
    received_at: datetime
    files: int
    bytes: int
    reason: Message | None


@dataclass(frozen=True)
class Leased:
    """The common part of rows that workers claim.

    Parameters
    ----------
    claim : number of the claim that returned this value; it ends when another worker claims the row
    attempts : claims since the last successful step
    next_try_at : earliest time of the next attempt; None: at once, or for a failed row: never without a person
    """

    id: int
    state: StrEnum
    claim: int
    attempts: int
    next_try_at: datetime | None
    lease_owner: str | None
    lease_until: datetime | None
    reason: Message | None
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class StudyVersion(Leased):
    """One version of a study, known by the trial's codes only.

    It has a field for each column of the table `study_version`, hence more than ten.

    Parameters
    ----------
    study_key, content_key : keyed hashes of the study's UID and of its instances
    version : number of the version of its visit, from 1; None until intake has assigned participant and visit
    supersedes, superseded_by : id of the version before and after it
    resume : while it is quarantined, rejected or failed: the state whose step is next
    study_folder, result_folder : relative to the work folder
    """

    site: str
    study_key: str
    content_key: str
    participant: str | None
    visit: str | None
    version: int | None
    supersedes: int | None
    superseded_by: int | None
    state: State
    resume: State | None
    received_at: datetime
    completed_at: datetime | None
    deidentified_at: datetime | None
    scored_at: datetime | None
    delivered_at: datetime | None
    study_folder: str | None
    result_folder: str | None

    @property
    def name(self) -> str:
        """The name that people see, for instance "S01/P007/week12 v2"."""
        place = "/".join(part or "?" for part in (self.site, self.participant, self.visit))
        return f"{place} v{self.version}" if self.version is not None else place


@dataclass(frozen=True)
class Change(Leased):
    """The comparison of a follow-up with its baseline; `change_folder` is relative to the work folder.

    It has a field for each column of the table `change`, hence more than ten.
    """

    baseline_id: int
    follow_up_id: int
    state: ChangeState
    due_at: datetime
    made_at: datetime | None
    change_folder: str | None


@dataclass(frozen=True)
class Event:
    """One line of the history; a field for each column of its table, hence more than ten.

    Parameters
    ----------
    event : "received", "grew", "assigned", "claimed", "moved", "postponed", "superseded", ...
    by : the worker or the person who caused it
    """

    id: int
    at: datetime
    event: str
    upload_id: str | None
    version_id: int | None
    change_id: int | None
    from_state: str | None
    to_state: str | None
    by: str
    reason: Message | None
    facts: Mapping[str, Any]


def upload_of(row: Row[Any]) -> Upload:
    """Return the value of a row of `upload`."""
    return Upload(**_plain(row, state=UploadState))


def version_of(row: Row[Any]) -> StudyVersion:
    """Return the value of a row of `study_version`."""
    values = _plain(row, state=State)
    values["resume"] = None if row.resume is None else State(row.resume)
    return StudyVersion(**values)


def change_of(row: Row[Any]) -> Change:
    """Return the value of a row of `change`."""
    return Change(**_plain(row, state=ChangeState))


def event_of(row: Row[Any]) -> Event:
    """Return the value of a row of `history`."""
    return Event(**_plain(row))


def _plain(row: Row[Any], **kinds: Any) -> dict[str, Any]:
    values = {name: value for name, value in row._mapping.items() if name != "leased_at"}
    values["reason"] = from_plain(values["reason"])
    return values | {name: kind(values[name]) for name, kind in kinds.items()}
