"""What becomes of a slot that is due while another of its schedule runs, and a guard that two never run at once."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SCHEDULES, OCCURRENCES = "gda_schedules", "gda_occurrences"
COLUMN, INDEX = "overlap", "uq_gda_occurrences_running_schedule"
RUNNING = "status = 'running' AND schedule_id IS NOT NULL AND NOT extra"


def upgrade() -> None:
    """Add the column and the index; where two of a schedule run just now, all but one go back to be claimed again."""
    op.add_column(SCHEDULES, sa.Column(COLUMN, sa.String(16), nullable=False, server_default="queue"))
    runs = sa.table(
        OCCURRENCES,
        *(sa.column(name) for name in ("id", "schedule_id", "status", "lease_owner", "lease_expires_at", "extra")),
    )
    kept = sa.select(sa.func.min(runs.c.id)).where(sa.text(RUNNING)).group_by(runs.c.schedule_id)
    op.execute(
        sa.update(runs)
        .where(sa.text(RUNNING), runs.c.id.not_in(kept))
        .values(status="retrying", lease_owner=None, lease_expires_at=None)
    )
    condition = sa.text(RUNNING)
    op.create_index(
        INDEX, OCCURRENCES, ["schedule_id"], unique=True, sqlite_where=condition, postgresql_where=condition
    )


def downgrade() -> None:
    """Take both away again."""
    op.drop_index(INDEX, OCCURRENCES)
    op.drop_column(SCHEDULES, COLUMN)
