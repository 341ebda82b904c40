"""To-dos, their reminders, and the in-app inbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TODOS, REMINDERS, NOTIFICATIONS = "gda_todos", "gda_reminders", "gda_notifications"


def upgrade() -> None:
    """Create the three tables."""
    op.create_table(
        TODOS,
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("priority", sa.String(16), server_default="normal", nullable=False),
        sa.Column("tags", JSON, server_default="[]", nullable=False),
        sa.Column("status", sa.String(16), server_default="open", nullable=False),
        sa.Column("due_at", INSTANT, nullable=True),
        sa.Column("due_day", sa.String(10), nullable=True),
        sa.Column("completed_at", INSTANT, nullable=True),
        sa.Column("overdue_at", INSTANT, nullable=True),
        sa.Column("repeat_rule", sa.String(500), nullable=True),
        sa.Column("repeat_start", sa.String(32), nullable=True),
        sa.Column("repeat_interval", sa.Integer(), server_default="1", nullable=False),
        sa.Column("repeat_count", sa.Integer(), nullable=True),
        sa.Column("repeat_until", sa.String(32), nullable=True),
        sa.Column("repeat_missed", sa.String(16), server_default="next", nullable=False),
        sa.Column("series_id", sa.String(64), nullable=True),
        sa.Column("series_slot", sa.String(32), nullable=True),
        sa.Column("made_from", sa.String(64), nullable=True),
        sa.Column("made_from_completed_at", INSTANT, nullable=True),
        sa.Column("last_processed_at", INSTANT, nullable=True),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gda_todos")),
        sa.ForeignKeyConstraint(["user_id"], ["gda_users.id"], name=op.f("fk_gda_todos_user_id"), ondelete="CASCADE"),
        sa.UniqueConstraint("series_id", "series_slot", name=op.f("uq_gda_todos_series_id_series_slot")),
        sa.UniqueConstraint(
            "made_from", "made_from_completed_at", name=op.f("uq_gda_todos_made_from_made_from_completed_at")
        ),
        sa.CheckConstraint("status IN ('open', 'overdue', 'done')", name=op.f("ck_gda_todos_status")),
        sa.CheckConstraint("priority IN ('low', 'normal', 'high')", name=op.f("ck_gda_todos_priority")),
        sa.CheckConstraint("repeat_missed IN ('next', 'every')", name=op.f("ck_gda_todos_repeat_missed")),
        sa.CheckConstraint(
            "(status = 'done') = (completed_at IS NOT NULL)", name=op.f("ck_gda_todos_done_when_completed")
        ),
        sa.CheckConstraint(
            "repeat_rule IS NULL OR (due_at IS NOT NULL AND repeat_start IS NOT NULL AND series_slot IS NOT NULL)",
            name=op.f("ck_gda_todos_repeats_from_a_due_date"),
        ),
    )
    _partial(
        "ix_gda_todos_unprocessed",
        TODOS,
        ["completed_at"],
        "completed_at IS NOT NULL AND repeat_rule IS NOT NULL AND last_processed_at IS NULL",
    )
    _partial("ix_gda_todos_open", TODOS, ["due_at"], "status = 'open' AND due_at IS NOT NULL")
    op.create_index("ix_gda_todos_user", TODOS, ["user_id", "status", "due_at"])
    _create_reminders()
    _create_notifications()


def downgrade() -> None:
    """Drop them."""
    op.drop_table(NOTIFICATIONS)
    op.drop_table(REMINDERS)
    op.drop_table(TODOS)


def _create_reminders() -> None:
    op.create_table(
        REMINDERS,
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("todo_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("remind_at", INSTANT, nullable=False),
        sa.Column("before_seconds", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(16), server_default="pending", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("late", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("occurrence_id", sa.String(36), nullable=True),
        sa.Column("sent_at", INSTANT, nullable=True),
        sa.Column("channels", sa.String(100), server_default="", nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gda_reminders")),
        sa.ForeignKeyConstraint(
            ["todo_id"], ["gda_todos.id"], name=op.f("fk_gda_reminders_todo_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["gda_users.id"], name=op.f("fk_gda_reminders_user_id"), ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'taken', 'sent', 'skipped', 'cancelled')", name=op.f("ck_gda_reminders_status")
        ),
    )
    _partial("ix_gda_reminders_pending", REMINDERS, ["remind_at"], "status = 'pending'")
    op.create_index("ix_gda_reminders_todo", REMINDERS, ["todo_id"])
    op.create_index("ix_gda_reminders_user", REMINDERS, ["user_id", "remind_at"])


def _create_notifications() -> None:
    op.create_table(
        NOTIFICATIONS,
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("cause", sa.String(200), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("read_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gda_notifications")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["gda_users.id"], name=op.f("fk_gda_notifications_user_id"), ondelete="CASCADE"
        ),
        sa.UniqueConstraint("user_id", "cause", name=op.f("uq_gda_notifications_user_id_cause")),
    )
    _partial("ix_gda_notifications_unread", NOTIFICATIONS, ["user_id", "created_at"], "read_at IS NULL")


def _partial(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
