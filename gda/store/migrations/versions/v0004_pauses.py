"""Which schedules a person has paused in Prefect."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = "gda_schedules"
COLUMN = "paused_in_prefect_at"
INDEX = "ix_gda_schedules_paused_in_prefect"


def upgrade() -> None:
    """Add the column and its index; the first sweep finds out what is paused."""
    op.add_column(TABLE, sa.Column(COLUMN, sa.DateTime(timezone=True), nullable=True))
    condition = sa.text(f"{COLUMN} IS NOT NULL")
    op.create_index(INDEX, TABLE, ["kind"], sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    """Take them away again."""
    op.drop_index(INDEX, TABLE)
    op.drop_column(TABLE, COLUMN)
