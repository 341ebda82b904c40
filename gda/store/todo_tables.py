"""The tables of to-dos, their reminders, and the in-app inbox; the same ``metadata`` as :mod:`gda.store.tables`."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from gda.store.instants import UtcInstant
from gda.store.tables import Json, metadata


def _where(name: str, *columns: str, condition: str) -> Index:
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


UNPROCESSED = "completed_at IS NOT NULL AND repeat_rule IS NOT NULL AND last_processed_at IS NULL"
OPEN = "status = 'open' AND due_at IS NOT NULL"
PENDING = "status = 'pending'"
UNREAD = "read_at IS NULL"
"""Conditions of partial indexes; a query spells them alike, for SQLite compares texts."""

todos = Table(
    "gda_todos",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("user_id", String(64), ForeignKey("gda_users.id", ondelete="CASCADE"), nullable=False),
    Column("title", String(200), nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("priority", String(16), nullable=False, server_default="normal"),
    Column("tags", Json, nullable=False, server_default="[]"),
    Column("status", String(16), nullable=False, server_default="open"),
    Column("due_at", UtcInstant),
    Column("due_day", String(10)),
    Column("completed_at", UtcInstant),
    Column("overdue_at", UtcInstant),
    Column("repeat_rule", String(500)),
    Column("repeat_start", String(32)),
    Column("repeat_interval", Integer, nullable=False, server_default="1"),
    Column("repeat_count", Integer),
    Column("repeat_until", String(32)),
    Column("repeat_missed", String(16), nullable=False, server_default="next"),
    Column("series_id", String(64)),
    Column("series_slot", String(32)),
    Column("made_from", String(64)),
    Column("made_from_completed_at", UtcInstant),
    Column("last_processed_at", UtcInstant),
    Column("problem", Text, nullable=False, server_default=""),
    Column("created_at", UtcInstant, nullable=False),
    # One for each date of a series, and one for each completion.
    UniqueConstraint("series_id", "series_slot"),
    UniqueConstraint("made_from", "made_from_completed_at"),
    CheckConstraint("status IN ('open', 'overdue', 'done')", name="status"),
    CheckConstraint("priority IN ('low', 'normal', 'high')", name="priority"),
    CheckConstraint("repeat_missed IN ('next', 'every')", name="repeat_missed"),
    CheckConstraint("(status = 'done') = (completed_at IS NOT NULL)", name="done_when_completed"),
    CheckConstraint(
        "repeat_rule IS NULL OR (due_at IS NOT NULL AND repeat_start IS NOT NULL AND series_slot IS NOT NULL)",
        name="repeats_from_a_due_date",
    ),
    # What was completed and repeats, and nobody has made the next one? (recurring tasks)
    _where("ix_gda_todos_unprocessed", "completed_at", condition=UNPROCESSED),
    # What is past due and not marked? (overdue scan)
    _where("ix_gda_todos_open", "due_at", condition=OPEN),
    # What has this user to do?
    Index("ix_gda_todos_user", "user_id", "status", "due_at"),
)

reminders = Table(
    "gda_reminders",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("todo_id", String(64), ForeignKey("gda_todos.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", String(64), ForeignKey("gda_users.id", ondelete="CASCADE"), nullable=False),
    Column("remind_at", UtcInstant, nullable=False),
    Column("before_seconds", Integer),
    Column("status", String(16), nullable=False, server_default="pending"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("late", Boolean, nullable=False, server_default=text("false")),
    Column("occurrence_id", String(36)),
    Column("sent_at", UtcInstant),
    Column("channels", String(100), nullable=False, server_default=""),
    Column("created_at", UtcInstant, nullable=False),
    CheckConstraint("status IN ('pending', 'taken', 'sent', 'skipped', 'cancelled')", name="status"),
    # What is to be sent now? (reminders)
    _where("ix_gda_reminders_pending", "remind_at", condition=PENDING),
    # Which are this to-do's?
    Index("ix_gda_reminders_todo", "todo_id"),
    # Which are this user's?
    Index("ix_gda_reminders_user", "user_id", "remind_at"),
)

notifications = Table(
    "gda_notifications",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(64), ForeignKey("gda_users.id", ondelete="CASCADE"), nullable=False),
    Column("cause", String(200), nullable=False),
    Column("title", String(200), nullable=False),
    Column("body", Text, nullable=False, server_default=""),
    Column("created_at", UtcInstant, nullable=False),
    Column("read_at", UtcInstant),
    # Whatever asks how often: one for each cause.
    UniqueConstraint("user_id", "cause"),
    # What has this user not read?
    _where("ix_gda_notifications_unread", "user_id", "created_at", condition=UNREAD),
)
