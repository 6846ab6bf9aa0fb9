"""The reading page: users, cases, assignments, readings and audit trail. Locked readings and the trail never change.

The triggers are part of the migration: a later migration that changes them holds its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables, their triggers, and the one row of the trail's head."""
    op.create_table(
        "reader_audit",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("who", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("old", sa.Text(), nullable=False),
        sa.Column("new", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_reader_audit")),
    )
    op.create_table(
        "reader_cases",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("participant", sa.String(length=32), nullable=False),
        sa.Column("training", sa.Boolean(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reader_cases")),
        sa.UniqueConstraint(
            "participant", "training", "round", name=op.f("uq_reader_cases_participant_training_round")
        ),
    )
    op.create_table(
        "reader_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("database_locked_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reader_state")),
    )
    op.create_table(
        "reader_users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("password_hash", sa.String(length=256), nullable=False),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.String(length=32), nullable=True),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reader_users")),
        sa.UniqueConstraint("code", name=op.f("uq_reader_users_code")),
        sa.UniqueConstraint("name", name=op.f("uq_reader_users_name")),
    )
    op.create_table(
        "reader_assignments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("repeat", sa.Integer(), nullable=False),
        sa.Column("position", sa.Float(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("visit_order", sa.Text(), nullable=False),
        sa.Column("second_opinion_at", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["reader_cases.id"], name=op.f("fk_reader_assignments_case_id")),
        sa.ForeignKeyConstraint(["user_id"], ["reader_users.id"], name=op.f("fk_reader_assignments_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reader_assignments")),
        sa.UniqueConstraint(
            "case_id", "user_id", "kind", "repeat", name=op.f("uq_reader_assignments_case_id_user_id_kind_repeat")
        ),
        sa.UniqueConstraint("code", name=op.f("uq_reader_assignments_code")),
    )
    op.create_table(
        "reader_sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("seen_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["reader_users.id"], name=op.f("fk_reader_sessions_user_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_reader_sessions")),
    )
    op.create_table(
        "reader_visits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("visit", sa.String(length=32), nullable=False),
        sa.Column("images", sa.String(length=32), nullable=False),
        sa.Column("machine", sa.String(length=32), nullable=True),
        sa.Column("known", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["reader_cases.id"], name=op.f("fk_reader_visits_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reader_visits")),
        sa.UniqueConstraint("case_id", "visit", name=op.f("uq_reader_visits_case_id_visit")),
        sa.UniqueConstraint("images", name=op.f("uq_reader_visits_images")),
        sa.UniqueConstraint("machine", name=op.f("uq_reader_visits_machine")),
    )
    op.create_table(
        "reader_readings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("assignment_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.String(length=32), nullable=False),
        sa.Column("locked_at", sa.String(length=32), nullable=True),
        sa.CheckConstraint("state IN ('open', 'locked')", name=op.f("ck_reader_readings_state")),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["reader_assignments.id"], name=op.f("fk_reader_readings_assignment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reader_readings")),
        sa.UniqueConstraint(
            "assignment_id", "kind", "version", name=op.f("uq_reader_readings_assignment_id_kind_version")
        ),
    )
    for statement in _triggers(op.get_bind().dialect.name):
        op.execute(sa.text(statement))
    op.execute(sa.text("INSERT INTO reader_state (id, seq, hash) VALUES (1, 0, '')"))


_UNCHANGEABLE = {"reader_audit": "the audit trail is append-only", "reader_readings": "a locked reading never changes"}


def _triggers(dialect: str) -> Iterator[str]:
    """Return the statements that keep the audit trail append-only and locked readings unchanged."""
    for table, why in _UNCHANGEABLE.items():
        when = " WHEN (OLD.state = 'locked')" if table == "reader_readings" else ""
        if dialect == "postgresql":
            yield (
                f"CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE EXCEPTION '{why}'; END $$"
            )
            yield (
                f"CREATE TRIGGER {table}_immutable BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW{when} "
                f"EXECUTE FUNCTION {table}_refuse()"
            )
            yield (
                f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT "
                f"EXECUTE FUNCTION {table}_refuse()"
            )
        else:
            for event in ("UPDATE", "DELETE"):
                yield (
                    f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} FOR EACH ROW{when} "
                    f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
                )
            # INSERT OR REPLACE deletes rows without the trigger above.
            key = "seq" if table == "reader_audit" else "id"
            yield (
                f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} FOR EACH ROW "
                f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key}) BEGIN SELECT RAISE(ABORT, '{why}'); END"
            )
