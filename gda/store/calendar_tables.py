"""The tables of calendars: how far each was read, and what was seen in it; the same ``metadata`` as all tables."""

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text

from gda.store.instants import UtcInstant
from gda.store.tables import Json, metadata

calendar_cursors = Table(
    "gda_calendar_cursors",
    metadata,
    Column("schedule_id", String(36), ForeignKey("gda_schedules.id", ondelete="CASCADE"), primary_key=True),
    Column("calendar_id", String(320), primary_key=True),
    Column("sync_token", Text, nullable=False),
    Column("synced_at", UtcInstant, nullable=False),
)

seen_events = Table(
    "gda_seen_events",
    metadata,
    Column("schedule_id", String(36), ForeignKey("gda_schedules.id", ondelete="CASCADE"), primary_key=True),
    Column("calendar_id", String(320), primary_key=True),
    # An event's, or a series': Google's ids have up to 1024 characters.
    Column("event_id", String(1024), primary_key=True),
    Column("uid", Text, nullable=False),
    Column("title", Text, nullable=False),
    # Moments as ISO text: days, floating times, or instants with their own offset.
    Column("starts_at", String(40), nullable=False),
    Column("ends_at", String(40), nullable=False),
    Column("stance", String(16), nullable=False),
    Column("series", String(1024), nullable=False, server_default=""),
    Column("dates", Json, nullable=False, server_default="[]"),
    Column("fingerprint", String(16), nullable=False),
    Column("seen_at", UtcInstant, nullable=False),
    Column("forget_at", UtcInstant),
    # What of a schedule is long past? (each confirmed report)
    Index("ix_gda_seen_events_forget", "schedule_id", "forget_at"),
)
