"""The tables behind notices: what users prefer, their browsers, and what waits for the end of quiet hours."""

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text, text

from gda.store.instants import UtcInstant
from gda.store.tables import metadata

WAITING = "occurrence_id IS NULL"
"""The condition of a partial index; a query spells it alike, for SQLite compares texts."""

notify_preferences = Table(
    "gda_notify_preferences",
    metadata,
    Column("user_id", String(64), ForeignKey("gda_users.id", ondelete="CASCADE"), primary_key=True),
    Column("channels", String(100), nullable=False),
    Column("quiet", String(11), nullable=False, server_default=""),
    # An address that carries its own password: sealed, as tokens are.
    Column("chat_address", Text),
    Column("updated_at", UtcInstant, nullable=False),
)

push_subscriptions = Table(
    "gda_push_subscriptions",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("user_id", String(64), ForeignKey("gda_users.id", ondelete="CASCADE"), nullable=False),
    # End point and keys, sealed: whoever has them can write to the user.
    Column("sealed", Text, nullable=False),
    Column("created_at", UtcInstant, nullable=False),
    # Which browsers are this user's?
    Index("ix_gda_push_subscriptions_user", "user_id"),
)

held_notices = Table(
    "gda_held_notices",
    metadata,
    # One for each cause, whoever holds it how often.
    Column("user_id", String(64), ForeignKey("gda_users.id", ondelete="CASCADE"), primary_key=True),
    Column("cause", String(200), primary_key=True),
    Column("title", String(200), nullable=False),
    Column("body", Text, nullable=False, server_default=""),
    Column("release_at", UtcInstant, nullable=False),
    Column("created_at", UtcInstant, nullable=False),
    Column("occurrence_id", String(36)),
    Column("told_at", UtcInstant),
    # Whose quiet hours are over? (the sweep)
    Index(
        "ix_gda_held_notices_waiting",
        "release_at",
        sqlite_where=text(WAITING),
        postgresql_where=text(WAITING),
    ),
    # What does this digest tell?
    Index("ix_gda_held_notices_occurrence", "occurrence_id"),
)
