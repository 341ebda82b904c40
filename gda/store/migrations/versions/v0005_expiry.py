"""How long after its due time a slot of a schedule is worth anything."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLE = "gda_schedules"
COLUMN = "expire_after_seconds"


def upgrade() -> None:
    """Add the column; without a value the age limit alone counts, as before."""
    op.add_column(TABLE, sa.Column(COLUMN, sa.Integer(), nullable=True))


def downgrade() -> None:
    """Take it away again."""
    op.drop_column(TABLE, COLUMN)
