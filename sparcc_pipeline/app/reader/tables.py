"""Tables of the reading page, in the database of the ledger.

Triggers of the migrations make locked readings and the trail immutable. Times are ISO 8601 in UTC, as text, because the
audit trail hashes the stored text. No date of a visit and no identity is stored.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from sparcc_pipeline.app.ledger.tables import metadata

USERS = Table(
    "reader_users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(32), nullable=False, unique=True),
    Column("code", String(16), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("password_hash", String(256), nullable=False),
    Column("must_change", Boolean, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("locked_until", String(32)),
    Column("language", String(8), nullable=False),
)

SESSIONS = Table(
    "reader_sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("user_id", ForeignKey("reader_users.id"), nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("seen_at", String(32), nullable=False),
)

CASES = Table(
    "reader_cases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("participant", String(32), nullable=False),
    Column("training", Boolean, nullable=False),
    Column("round", Integer, nullable=False),
    UniqueConstraint("participant", "training", "round"),
)
"""Time points of a participant that are read together. Time points imported after the assignment form a new round."""

VISITS = Table(
    "reader_visits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("case_id", ForeignKey("reader_cases.id"), nullable=False),
    Column("visit", String(32), nullable=False),
    Column("images", String(32), nullable=False, unique=True),
    Column("machine", String(32), unique=True),
    Column("known", Text),
    Column("level", Text),
    UniqueConstraint("case_id", "visit"),
)
"""`images` and `machine` are random folders of the store, `known` holds the known items of a training visit (JSON),
`level` the matrix from the indices of the case's first scored time point (JSON). The trail holds a digest of all stored
files."""

ASSIGNMENTS = Table(
    "reader_assignments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("code", String(16), nullable=False, unique=True),
    Column("case_id", ForeignKey("reader_cases.id"), nullable=False),
    Column("user_id", ForeignKey("reader_users.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("repeat", Integer, nullable=False),
    Column("position", Float, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("visit_order", Text, nullable=False),
    Column("second_opinion_at", String(32)),
    UniqueConstraint("case_id", "user_id", "kind", "repeat"),
)
"""One case for one reader; `visit_order` holds the ids of its visits in the order of the labels A, B, C (JSON)."""

READINGS = Table(
    "reader_readings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("assignment_id", ForeignKey("reader_assignments.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String(8), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("content", Text, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("saved_at", String(32), nullable=False),
    Column("locked_at", String(32)),
    UniqueConstraint("assignment_id", "kind", "version"),
    CheckConstraint("state IN ('open', 'locked')", name="state"),
)

AUDIT = Table(
    "reader_audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("who", String(32), nullable=False),
    Column("action", String(32), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("old", Text, nullable=False),
    Column("new", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("hash", String(64), nullable=False),
)

STATE = Table(
    "reader_state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("database_locked_at", String(32)),
)
"""One row: the head of the audit trail, which every writer locks first, and the time of the database lock."""
