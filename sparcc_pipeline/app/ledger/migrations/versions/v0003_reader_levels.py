"""The reading page: the level of each time point, by registration of the bones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the level; time points imported before have none."""
    op.add_column("reader_visits", sa.Column("level", sa.Text(), nullable=True))
