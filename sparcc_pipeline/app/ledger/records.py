"""The rows of the ledger as values: what steps and reports read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
    instance_key : keyed hash of its SOP instance UID; None: it is no DICOM instance
    """

    content_key: str
    bytes: int
    instance_key: str | None = None


@dataclass(frozen=True)
class UploadRecord:
    """An upload as intake tells of it.

    Parameters
    ----------
    id : name of its folder; made by intake, never by a site
    way : "dicom", "inbox" or "pull"
    """

    id: str
    site: str
    way: str
    files: Sequence[FileRecord]


@dataclass(frozen=True)
class Upload:
    """An upload and what became of it."""

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
    """What rows that are worked at have in common.

    Parameters
    ----------
    claim : number of the claim that this value is from; it ends when somebody else claims the row
    attempts : claims since the last step that succeeded
    next_try_at : not before; None: at once, and of a failed one: not by itself
    """

    id: int
    claim: int
    attempts: int
    next_try_at: datetime | None
    lease_owner: str | None
    lease_until: datetime | None
    reason: Message | None
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class StudyVersion(Leased):
    """One version of a study; whoever it belongs to is known by the trial's codes only.

    Parameters
    ----------
    study_key, content_key : keyed hashes: which study it is, and which instances it is made of
    version : counts the versions of a visit, from 1; None until intake has assigned participant and visit
    supersedes, superseded_by : id of the version before and after it
    resume : the state whose step it waits for while it is quarantined, rejected or failed
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
        """How people are told of it, for instance "S01/P007/week12 v2"."""
        place = "/".join(part or "?" for part in (self.site, self.participant, self.visit))
        return f"{place} v{self.version}" if self.version is not None else place


@dataclass(frozen=True)
class Change(Leased):
    """The comparison of a follow-up with its baseline; `change_folder` is relative to the work folder."""

    baseline_id: int
    follow_up_id: int
    state: ChangeState
    due_at: datetime
    made_at: datetime | None
    change_folder: str | None


@dataclass(frozen=True)
class Event:
    """One line of the history.

    Parameters
    ----------
    event : "received", "grew", "assigned", "claimed", "moved", "postponed", "superseded", ...
    by : the worker, or the person
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
    """The value of a row of `upload`."""
    return Upload(**_plain(row, state=UploadState))


def version_of(row: Row[Any]) -> StudyVersion:
    """The value of a row of `study_version`."""
    values = _plain(row, state=State)
    values["resume"] = None if row.resume is None else State(row.resume)
    return StudyVersion(**values)


def change_of(row: Row[Any]) -> Change:
    """The value of a row of `change`."""
    return Change(**_plain(row, state=ChangeState))


def event_of(row: Row[Any]) -> Event:
    """The value of a row of `history`."""
    return Event(**_plain(row))


def _plain(row: Row[Any], **kinds: Any) -> dict[str, Any]:
    values = {name: value for name, value in row._mapping.items() if name != "leased_at"}
    values["reason"] = from_plain(values["reason"])
    return values | {name: kind(values[name]) for name, kind in kinds.items()}
