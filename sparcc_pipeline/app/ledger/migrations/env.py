"""Alembic runs this file: it runs the migrations on a given connection (see `database.upgrade_tables`)."""

from __future__ import annotations

from alembic import context

from sparcc_pipeline.app.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,  # one transaction around all, that of the connection
)
context.run_migrations()
