"""The ledger: uploads, their files, study versions, changes of follow-ups, and an append-only history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sparcc_pipeline.app.ledger.tables import UtcTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "upload",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.JSON(none_as_null=True), nullable=True),
        sa.CheckConstraint("state IN ('received', 'sorted', 'quarantined', 'rejected')", name=op.f("ck_upload_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    op.create_table(
        "upload_file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("upload_id", sa.String(length=64), nullable=False),
        sa.Column("instance_key", sa.String(length=64), nullable=True),
        sa.Column("content_key", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_upload_file_upload_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_file")),
    )
    op.create_index(op.f("ix_upload_file_instance_key"), "upload_file", ["instance_key"], unique=False)
    op.create_index(op.f("ix_upload_file_upload_id"), "upload_file", ["upload_id"], unique=False)
    op.create_table(
        "study_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("study_key", sa.String(length=64), nullable=False),
        sa.Column("content_key", sa.String(length=64), nullable=False),
        sa.Column("participant", sa.String(length=64), nullable=True),
        sa.Column("visit", sa.String(length=64), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("supersedes", sa.Integer(), nullable=True),
        sa.Column("superseded_by", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("resume", sa.String(length=16), nullable=True),
        sa.Column("claim", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try_at", UtcTime(), nullable=True),
        sa.Column("lease_owner", sa.String(length=200), nullable=True),
        sa.Column("leased_at", UtcTime(), nullable=True),
        sa.Column("lease_until", UtcTime(), nullable=True),
        sa.Column("reason", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.Column("completed_at", UtcTime(), nullable=True),
        sa.Column("deidentified_at", UtcTime(), nullable=True),
        sa.Column("scored_at", UtcTime(), nullable=True),
        sa.Column("delivered_at", UtcTime(), nullable=True),
        sa.Column("study_folder", sa.String(length=400), nullable=True),
        sa.Column("result_folder", sa.String(length=400), nullable=True),
        sa.CheckConstraint(
            "state IN ('received', 'complete', 'deidentified', 'scored', 'delivered', "
            "'quarantined', 'rejected', 'failed')",
            name=op.f("ck_study_version_state"),
        ),
        sa.ForeignKeyConstraint(["superseded_by"], ["study_version.id"], name=op.f("fk_study_version_superseded_by")),
        sa.ForeignKeyConstraint(["supersedes"], ["study_version.id"], name=op.f("fk_study_version_supersedes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study_version")),
        sa.UniqueConstraint("site", "content_key", name=op.f("uq_study_version_site_content_key")),
        sa.UniqueConstraint(
            "site", "participant", "visit", "version", name=op.f("uq_study_version_site_participant_visit_version")
        ),
    )
    op.create_index(op.f("ix_study_version_site_study_key"), "study_version", ["site", "study_key"], unique=False)
    op.create_index(op.f("ix_study_version_state_next_try_at"), "study_version", ["state", "next_try_at"], unique=False)
    op.create_table(
        "version_upload",
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("upload_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_version_upload_upload_id")),
        sa.ForeignKeyConstraint(["version_id"], ["study_version.id"], name=op.f("fk_version_upload_version_id")),
        sa.PrimaryKeyConstraint("version_id", "upload_id", name=op.f("pk_version_upload")),
    )
    op.create_table(
        "change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("baseline_id", sa.Integer(), nullable=False),
        sa.Column("follow_up_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("claim", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try_at", UtcTime(), nullable=True),
        sa.Column("lease_owner", sa.String(length=200), nullable=True),
        sa.Column("leased_at", UtcTime(), nullable=True),
        sa.Column("lease_until", UtcTime(), nullable=True),
        sa.Column("reason", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("due_at", UtcTime(), nullable=False),
        sa.Column("made_at", UtcTime(), nullable=True),
        sa.Column("change_folder", sa.String(length=400), nullable=True),
        sa.CheckConstraint("state IN ('due', 'made', 'refused', 'failed')", name=op.f("ck_change_state")),
        sa.ForeignKeyConstraint(["baseline_id"], ["study_version.id"], name=op.f("fk_change_baseline_id")),
        sa.ForeignKeyConstraint(["follow_up_id"], ["study_version.id"], name=op.f("fk_change_follow_up_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change")),
        sa.UniqueConstraint("baseline_id", "follow_up_id", name=op.f("uq_change_baseline_id_follow_up_id")),
    )
    op.create_table(
        "history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("upload_id", sa.String(length=64), nullable=True),
        sa.Column("version_id", sa.Integer(), nullable=True),
        sa.Column("change_id", sa.Integer(), nullable=True),
        sa.Column("from_state", sa.String(length=16), nullable=True),
        sa.Column("to_state", sa.String(length=16), nullable=True),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["change_id"], ["change.id"], name=op.f("fk_history_change_id")),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_history_upload_id")),
        sa.ForeignKeyConstraint(["version_id"], ["study_version.id"], name=op.f("fk_history_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history")),
    )
    op.create_index(op.f("ix_history_at"), "history", ["at"], unique=False)
    op.create_index(op.f("ix_history_version_id"), "history", ["version_id"], unique=False)
    append_only("history")


def append_only(table: str) -> None:
    """Add triggers with which the database refuses to change or delete rows of this table."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"
    )
