"""The first ledger."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Create every table of the first ledger."""
    op.create_table(
        "gda_occurrences",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("dedup_key", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("schedule_id", sa.String(length=36), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("slot", sa.String(length=32), nullable=True),
        sa.Column("timezone", sa.String(length=64), server_default="UTC", nullable=False),
        sa.Column("note", sa.String(length=200), server_default="", nullable=False),
        sa.Column("extra", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("payload", JSON, nullable=True),
        sa.Column("metadata", JSON, nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("queue", sa.String(length=32), server_default="default", nullable=False),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("timeout_seconds", sa.Integer(), server_default="300", nullable=False),
        sa.Column("max_attempts", sa.Integer(), server_default="10", nullable=False),
        sa.Column("ready_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.Column("lease_owner", sa.String(length=100), nullable=True),
        sa.Column("lease_expires_at", INSTANT, nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("burnt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("woken_by", sa.String(length=32), nullable=False),
        sa.Column("flow_run_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "(status = 'running') = (lease_owner IS NOT NULL)", name=op.f("ck_gda_occurrences_lease_while_running")
        ),
        sa.CheckConstraint(
            "status IN ('scheduled', 'running', 'retrying', 'held', "
            "'done', 'skipped', 'dead', 'cancelled', 'discarded')",
            name=op.f("ck_gda_occurrences_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gda_occurrences")),
        sa.UniqueConstraint("kind", "dedup_key", name=op.f("uq_gda_occurrences_kind_dedup_key")),
    )
    op.create_index(
        "ix_gda_occurrences_lease",
        "gda_occurrences",
        ["lease_owner", "lease_expires_at"],
        unique=False,
        sqlite_where=sa.text("status = 'running'"),
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index(
        "ix_gda_occurrences_ready",
        "gda_occurrences",
        ["kind", "ready_at"],
        unique=False,
        sqlite_where=sa.text("status IN ('scheduled', 'retrying')"),
        postgresql_where=sa.text("status IN ('scheduled', 'retrying')"),
    )
    op.create_index("ix_gda_occurrences_user", "gda_occurrences", ["user_id", "kind", "due_at"], unique=False)
    op.create_table(
        "gda_users",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("name", sa.String(length=200), server_default="", nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), server_default="active", nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint("status IN ('active', 'paused', 'needs-consent')", name=op.f("ck_gda_users_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gda_users")),
        sa.UniqueConstraint("email", name=op.f("uq_gda_users_email")),
    )
    op.create_table(
        "gda_attempts",
        sa.Column("occurrence_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("flow_run_id", sa.String(length=36), nullable=True),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("error_class", sa.String(length=200), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("traceback", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["occurrence_id"], ["gda_occurrences.id"], name=op.f("fk_gda_attempts_occurrence_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("occurrence_id", "number", name=op.f("pk_gda_attempts")),
    )
    op.create_table(
        "gda_credentials",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("refresh_token", sa.Text(), nullable=False),
        sa.Column("access_token", sa.Text(), nullable=True),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.Column("scope", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.String(length=16), server_default="active", nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.CheckConstraint("status IN ('active', 'needs-consent')", name=op.f("ck_gda_credentials_status")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["gda_users.id"], name=op.f("fk_gda_credentials_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "provider", name=op.f("pk_gda_credentials")),
    )
    op.create_table(
        "gda_dead_letters",
        sa.Column("occurrence_id", sa.String(length=36), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("first_error", sa.Text(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["occurrence_id"],
            ["gda_occurrences.id"],
            name=op.f("fk_gda_dead_letters_occurrence_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("occurrence_id", name=op.f("pk_gda_dead_letters")),
    )
    op.create_table(
        "gda_effects",
        sa.Column("occurrence_id", sa.String(length=36), nullable=False),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("provider_reference", sa.String(length=255), nullable=True),
        sa.Column("intent_at", INSTANT, nullable=False),
        sa.Column("busy_until", INSTANT, nullable=False),
        sa.Column("confirmed_at", INSTANT, nullable=True),
        sa.CheckConstraint("state IN ('intent', 'refused', 'confirmed')", name=op.f("ck_gda_effects_state")),
        sa.ForeignKeyConstraint(
            ["occurrence_id"], ["gda_occurrences.id"], name=op.f("fk_gda_effects_occurrence_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("occurrence_id", "step", name=op.f("pk_gda_effects")),
    )
    op.create_table(
        "gda_schedules",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("expression", sa.String(length=200), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=True),
        sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("active_from", INSTANT, nullable=False),
        sa.Column("next_due_at", INSTANT, nullable=True),
        sa.Column("catch_up", sa.String(length=16), server_default="latest", nullable=False),
        sa.Column("catch_up_window_seconds", sa.Integer(), server_default="43200", nullable=False),
        sa.Column("spread_seconds", sa.Integer(), server_default="0", nullable=False),
        sa.Column("settings", JSON, server_default="{}", nullable=False),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("catch_up IN ('none', 'latest', 'all')", name=op.f("ck_gda_schedules_catch_up")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["gda_users.id"], name=op.f("fk_gda_schedules_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gda_schedules")),
        sa.UniqueConstraint("user_id", "kind", "name", name=op.f("uq_gda_schedules_user_id_kind_name")),
    )
    op.create_index(
        "ix_gda_schedules_due",
        "gda_schedules",
        ["kind", "next_due_at"],
        unique=False,
        sqlite_where=sa.text("enabled"),
        postgresql_where=sa.text("enabled"),
    )
    op.create_table(
        "gda_mail_cursors",
        sa.Column("schedule_id", sa.String(length=36), nullable=False),
        sa.Column("up_to", INSTANT, nullable=False),
        sa.Column("recent_ids", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["gda_schedules.id"], name=op.f("fk_gda_mail_cursors_schedule_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("schedule_id", name=op.f("pk_gda_mail_cursors")),
    )
    op.create_table(
        "gda_schedule_revisions",
        sa.Column("schedule_id", sa.String(length=36), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("expression", sa.String(length=200), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("active_from", INSTANT, nullable=False),
        sa.Column("active_until", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["gda_schedules.id"],
            name=op.f("fk_gda_schedule_revisions_schedule_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("schedule_id", "revision", name=op.f("pk_gda_schedule_revisions")),
    )


def downgrade() -> None:
    """Drop them all."""
    op.drop_table("gda_schedule_revisions")
    op.drop_table("gda_mail_cursors")
    op.drop_index(
        "ix_gda_schedules_due",
        table_name="gda_schedules",
        sqlite_where=sa.text("enabled"),
        postgresql_where=sa.text("enabled"),
    )
    op.drop_table("gda_schedules")
    op.drop_table("gda_effects")
    op.drop_table("gda_dead_letters")
    op.drop_table("gda_credentials")
    op.drop_table("gda_attempts")
    op.drop_table("gda_users")
    op.drop_index("ix_gda_occurrences_user", table_name="gda_occurrences")
    op.drop_index(
        "ix_gda_occurrences_ready",
        table_name="gda_occurrences",
        sqlite_where=sa.text("status IN ('scheduled', 'retrying')"),
        postgresql_where=sa.text("status IN ('scheduled', 'retrying')"),
    )
    op.drop_index(
        "ix_gda_occurrences_lease",
        table_name="gda_occurrences",
        sqlite_where=sa.text("status = 'running'"),
        postgresql_where=sa.text("status = 'running'"),
    )
    op.drop_table("gda_occurrences")
