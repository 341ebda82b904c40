"""The tables, their guards and their indexes; each index says which question it answers.

Instants are stored in UTC (TIMESTAMPTZ on PostgreSQL, fixed-width ISO text on SQLite) and come back aware.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from gda.lifecycle import Status
from gda.store.instants import UtcInstant

Json = JSON().with_variant(JSONB(), "postgresql")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, values: list[str]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def _where(name: str, *columns: str, condition: str, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=text(condition), postgresql_where=text(condition))


users = Table(
    "gda_users",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("email", String(320), nullable=False, unique=True),
    Column("name", String(200), nullable=False, server_default=""),
    Column("timezone", String(64), nullable=False),
    Column("status", String(16), nullable=False, server_default="active"),
    Column("created_at", UtcInstant, nullable=False),
    CheckConstraint(_one_of("status", ["active", "paused", "needs-consent"]), name="status"),
)

credentials = Table(
    "gda_credentials",
    metadata,
    Column("user_id", String(64), ForeignKey("gda_users.id", ondelete="CASCADE"), primary_key=True),
    Column("provider", String(32), primary_key=True),
    Column("refresh_token", Text, nullable=False),
    Column("access_token", Text),
    Column("expires_at", UtcInstant),
    Column("scope", Text, nullable=False, server_default=""),
    Column("status", String(16), nullable=False, server_default="active"),
    Column("updated_at", UtcInstant, nullable=False),
    Column("granted_at", UtcInstant),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("refreshing_until", UtcInstant),
    Column("promised_at", UtcInstant),
    CheckConstraint(_one_of("status", ["active", "needs-consent"]), name="status"),
    # Whose token soon expires, with no refresh promised yet? (token refresh)
    _where("ix_gda_credentials_expiring", "expires_at", condition="status = 'active' AND promised_at IS NULL"),
)

schedules = Table(
    "gda_schedules",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(64), ForeignKey("gda_users.id", ondelete="CASCADE")),
    Column("kind", String(64), nullable=False),
    Column("name", String(64), nullable=False, server_default="default"),
    Column("expression", String(200), nullable=False),
    Column("timezone", String(64)),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("active_from", UtcInstant, nullable=False),
    Column("next_due_at", UtcInstant),
    Column("catch_up", String(16), nullable=False, server_default="latest"),
    Column("overlap", String(16), nullable=False, server_default="queue"),
    Column("catch_up_window_seconds", Integer, nullable=False, server_default="43200"),
    Column("spread_seconds", Integer, nullable=False, server_default="0"),
    Column("expire_after_seconds", Integer),
    Column("settings", Json, nullable=False, server_default="{}"),
    Column("problem", Text, nullable=False, server_default=""),
    Column("paused_in_prefect_at", UtcInstant),
    UniqueConstraint("user_id", "kind", "name"),
    CheckConstraint(_one_of("catch_up", ["none", "latest", "all"]), name="catch_up"),
    # Which schedules of a kind are due? (promise; the sweep)
    _where("ix_gda_schedules_due", "kind", "next_due_at", condition="enabled"),
    # Which has a person paused in Prefect? (the sweep)
    _where("ix_gda_schedules_paused_in_prefect", "kind", condition="paused_in_prefect_at IS NOT NULL"),
)

schedule_revisions = Table(
    "gda_schedule_revisions",
    metadata,
    Column("schedule_id", String(36), ForeignKey("gda_schedules.id", ondelete="CASCADE"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("expression", String(200), nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("active_from", UtcInstant, nullable=False),
    Column("active_until", UtcInstant),
)

occurrences = Table(
    "gda_occurrences",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("dedup_key", String(255), nullable=False),
    Column("user_id", String(64)),
    Column("schedule_id", String(36)),
    Column("revision", Integer),
    Column("slot", String(32)),
    Column("timezone", String(64), nullable=False, server_default="UTC"),
    Column("note", String(200), nullable=False, server_default=""),
    Column("extra", Boolean, nullable=False, server_default=text("false")),
    Column("due_at", UtcInstant, nullable=False),
    Column("payload", Json),
    Column("metadata", Json),
    Column("status", String(16), nullable=False),
    Column("queue", String(32), nullable=False, server_default="default"),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("timeout_seconds", Integer, nullable=False, server_default="300"),
    Column("max_attempts", Integer, nullable=False, server_default="10"),
    Column("ready_at", UtcInstant, nullable=False),
    Column("expires_at", UtcInstant),
    Column("lease_owner", String(100)),
    Column("lease_expires_at", UtcInstant),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("burnt", Integer, nullable=False, server_default="0"),
    Column("suspect", Boolean, nullable=False, server_default=text("false")),
    Column("reason", Text, nullable=False, server_default=""),
    Column("woken_by", String(32), nullable=False),
    Column("flow_run_id", String(36)),
    Column("created_at", UtcInstant, nullable=False),
    Column("started_at", UtcInstant),
    Column("finished_at", UtcInstant),
    UniqueConstraint("kind", "dedup_key"),
    CheckConstraint(_one_of("status", [str(status) for status in Status]), name="status"),
    CheckConstraint("(status = 'running') = (lease_owner IS NOT NULL)", name="lease_while_running"),
    # What may be claimed now, most urgent first?
    _where("ix_gda_occurrences_ready", "kind", "ready_at", condition="status IN ('scheduled', 'retrying')"),
    # Whose leases must be renewed, and which have expired?
    _where("ix_gda_occurrences_lease", "lease_owner", "lease_expires_at", condition="status = 'running'"),
    # What waits at all, of any kind? (the sweep)
    _where("ix_gda_occurrences_waiting", "ready_at", condition="status IN ('scheduled', 'retrying')"),
    # Whose worker went away? (claim; the sweep)
    _where("ix_gda_occurrences_expired", "lease_expires_at", condition="status = 'running'"),
    # Does another of this schedule run? Never two at once (claim).
    _where(
        "uq_gda_occurrences_running_schedule",
        "schedule_id",
        condition="status = 'running' AND schedule_id IS NOT NULL AND NOT extra",
        unique=True,
    ),
    # What waits for this cause? (release)
    _where("ix_gda_occurrences_held", "reason", "user_id", condition="status = 'held'"),
    # What may be forgotten? (retention)
    _where(
        "ix_gda_occurrences_finished",
        "finished_at",
        condition="status IN ('done', 'skipped', 'cancelled', 'discarded')",
    ),
    # What happened to this user lately?
    Index("ix_gda_occurrences_user", "user_id", "kind", "due_at"),
)

attempts = Table(
    "gda_attempts",
    metadata,
    Column("occurrence_id", String(36), ForeignKey("gda_occurrences.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("fence", Integer, nullable=False),
    Column("owner", String(100), nullable=False),
    Column("flow_run_id", String(36)),
    Column("alone", Boolean, nullable=False, server_default=text("false")),
    Column("started_at", UtcInstant, nullable=False),
    Column("ended_at", UtcInstant),
    Column("outcome", String(16)),
    Column("error_class", String(200)),
    Column("message", Text),
    Column("traceback", Text),
)

dead_letters = Table(
    "gda_dead_letters",
    metadata,
    Column("occurrence_id", String(36), ForeignKey("gda_occurrences.id", ondelete="CASCADE"), primary_key=True),
    Column("reason", String(16), nullable=False),
    Column("first_error", Text, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("error_class", String(200), nullable=False, server_default=""),
    Column("fingerprint", String(16), nullable=False, server_default=""),
    Column("created_at", UtcInstant, nullable=False),
    Column("closed_at", UtcInstant),
    Column("closed_as", String(16)),
    Column("announced_at", UtcInstant),
    Column("replays", Json, nullable=False, server_default="[]"),
    Column("told_at", UtcInstant),
    # What lies in the inbox?
    _where("ix_gda_dead_letters_open", "created_at", condition="closed_at IS NULL"),
    # Which deaths has no hook heard of?
    _where("ix_gda_dead_letters_untold", "created_at", condition="told_at IS NULL"),
)

unique_keys = Table(
    "gda_unique_keys",
    metadata,
    Column("kind", String(64), primary_key=True),
    Column("owner", String(64), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("occurrence_id", String(36), nullable=False),
    Column("statuses", Json, nullable=False),
    Column("until", UtcInstant),
    # Which keys go with this occurrence? (retention)
    Index("ix_gda_unique_keys_occurrence", "occurrence_id"),
)

leases = Table(
    "gda_leases",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("owner", String(100), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("expires_at", UtcInstant, nullable=False),
)

effects = Table(
    "gda_effects",
    metadata,
    Column("occurrence_id", String(36), ForeignKey("gda_occurrences.id", ondelete="CASCADE"), primary_key=True),
    Column("step", String(32), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("reference", String(255), nullable=False),
    Column("content", Json, nullable=False),
    Column("provider_reference", String(255)),
    Column("intent_at", UtcInstant, nullable=False),
    Column("busy_until", UtcInstant, nullable=False),
    Column("confirmed_at", UtcInstant),
    CheckConstraint(_one_of("state", ["intent", "refused", "confirmed"]), name="state"),
)

mail_cursors = Table(
    "gda_mail_cursors",
    metadata,
    Column("schedule_id", String(36), ForeignKey("gda_schedules.id", ondelete="CASCADE"), primary_key=True),
    Column("up_to", UtcInstant, nullable=False),
    Column("recent_ids", Json, nullable=False),
)
