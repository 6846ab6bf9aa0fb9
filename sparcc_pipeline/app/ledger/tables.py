"""The tables of the ledger. Of a person they hold the trial's code and keyed hashes only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
)

from sparcc_pipeline.app.ledger.states import ChangeState, State, UploadState


class UtcTime(TypeDecorator[datetime]):
    """A time with its zone; SQLite stores no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time in UTC.

        Raises
        ------
        ValueError : the time has no zone
        """
        if value is not None and value.tzinfo is None:
            raise ValueError(f"expected a time with a zone, found {value}")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_LONGEST_CODE = 64
_KEY_CHARACTERS = 64


def _states(column: str, states: type[State] | type[UploadState] | type[ChangeState]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(each.value) for each in states)})", name=column)


def _lease() -> list[Column[Any]]:
    """Return the columns of a lease; `claim` counts claims, so that a worker that lost its lease cannot write."""
    return [
        Column("claim", Integer, nullable=False, server_default="0"),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("next_try_at", UtcTime),
        Column("lease_owner", String(200)),
        Column("leased_at", UtcTime),
        Column("lease_until", UtcTime),
        Column("reason", JSON(none_as_null=True)),
        Column("facts", JSON, nullable=False),
    ]


upload = Table(
    "upload",
    metadata,
    Column("id", String(_KEY_CHARACTERS), primary_key=True),
    Column("site", String(_LONGEST_CODE), nullable=False),
    Column("way", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("files", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("reason", JSON(none_as_null=True)),
    _states("state", UploadState),
)

upload_file = Table(
    "upload_file",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("upload_id", ForeignKey("upload.id"), nullable=False),
    Column("instance_key", String(_KEY_CHARACTERS)),
    Column("content_key", String(_KEY_CHARACTERS), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Index(None, "upload_id"),
    Index(None, "instance_key"),
)

study_version = Table(
    "study_version",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("site", String(_LONGEST_CODE), nullable=False),
    Column("study_key", String(_KEY_CHARACTERS), nullable=False),
    Column("content_key", String(_KEY_CHARACTERS), nullable=False),
    Column("participant", String(_LONGEST_CODE)),
    Column("visit", String(_LONGEST_CODE)),
    Column("version", Integer),
    Column("supersedes", ForeignKey("study_version.id")),
    Column("superseded_by", ForeignKey("study_version.id")),
    Column("state", String(16), nullable=False),
    Column("resume", String(16)),
    *_lease(),
    Column("received_at", UtcTime, nullable=False),
    Column("completed_at", UtcTime),
    Column("deidentified_at", UtcTime),
    Column("scored_at", UtcTime),
    Column("delivered_at", UtcTime),
    Column("study_folder", String(400)),
    Column("result_folder", String(400)),
    UniqueConstraint("site", "content_key"),
    UniqueConstraint("site", "participant", "visit", "version"),
    _states("state", State),
    Index(None, "state", "next_try_at"),
    Index(None, "site", "study_key"),
)

version_upload = Table(
    "version_upload",
    metadata,
    Column("version_id", ForeignKey("study_version.id"), primary_key=True),
    Column("upload_id", ForeignKey("upload.id"), primary_key=True),
)

change = Table(
    "change",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("baseline_id", ForeignKey("study_version.id"), nullable=False),
    Column("follow_up_id", ForeignKey("study_version.id"), nullable=False),
    Column("state", String(16), nullable=False),
    *_lease(),
    Column("due_at", UtcTime, nullable=False),
    Column("made_at", UtcTime),
    Column("change_folder", String(400)),
    UniqueConstraint("baseline_id", "follow_up_id"),
    _states("state", ChangeState),
)

history = Table(
    "history",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("event", String(32), nullable=False),
    Column("upload_id", ForeignKey("upload.id")),
    Column("version_id", ForeignKey("study_version.id")),
    Column("change_id", ForeignKey("change.id")),
    Column("from_state", String(16)),
    Column("to_state", String(16)),
    Column("by", String(200), nullable=False),
    Column("reason", JSON(none_as_null=True)),
    Column("facts", JSON, nullable=False),
    Index(None, "version_id"),
    Index(None, "at"),
)
"""Append-only: the database refuses to change or delete a row (see the migration)."""
