"""What Alembic runs: the migrations, on the connection that it was given (see `database.upgrade_tables`)."""

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
