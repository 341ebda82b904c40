"""How far calendars were read, and which events were seen in them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
CURSORS, SEEN, SCHEDULES = "gda_calendar_cursors", "gda_seen_events", "gda_schedules"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        CURSORS,
        sa.Column("schedule_id", sa.String(36), nullable=False),
        sa.Column("calendar_id", sa.String(320), nullable=False),
        sa.Column("sync_token", sa.Text(), nullable=False),
        sa.Column("synced_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["schedule_id"], [f"{SCHEDULES}.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("schedule_id", "calendar_id"),
    )
    op.create_table(
        SEEN,
        sa.Column("schedule_id", sa.String(36), nullable=False),
        sa.Column("calendar_id", sa.String(320), nullable=False),
        sa.Column("event_id", sa.String(1024), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.String(40), nullable=False),
        sa.Column("ends_at", sa.String(40), nullable=False),
        sa.Column("stance", sa.String(16), nullable=False),
        sa.Column("series", sa.String(1024), server_default="", nullable=False),
        sa.Column("dates", JSON, server_default="[]", nullable=False),
        sa.Column("fingerprint", sa.String(16), nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.Column("forget_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["schedule_id"], [f"{SCHEDULES}.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("schedule_id", "calendar_id", "event_id"),
    )
    op.create_index(f"ix_{SEEN}_forget", SEEN, ["schedule_id", "forget_at"])


def downgrade() -> None:
    """Take both away again."""
    op.drop_table(SEEN)
    op.drop_table(CURSORS)
