"""Suspects, dead letters that are closed and grouped, unique keys, named leases, and the sweep's indexes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

INDEXES = (
    ("ix_gda_occurrences_waiting", ["ready_at"], "status IN ('scheduled', 'retrying')"),
    ("ix_gda_occurrences_expired", ["lease_expires_at"], "status = 'running'"),
    ("ix_gda_occurrences_held", ["reason", "user_id"], "status = 'held'"),
    ("ix_gda_occurrences_finished", ["finished_at"], "status IN ('done', 'skipped', 'cancelled', 'discarded')"),
)


def upgrade() -> None:
    """Add columns with defaults, two tables and the indexes."""
    op.add_column("gda_occurrences", sa.Column("suspect", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("gda_attempts", sa.Column("alone", sa.Boolean(), server_default=sa.false(), nullable=False))
    for column in (
        sa.Column("error_class", sa.String(length=200), server_default="", nullable=False),
        sa.Column("fingerprint", sa.String(length=16), server_default="", nullable=False),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.Column("closed_as", sa.String(length=16), nullable=True),
        sa.Column("announced_at", INSTANT, nullable=True),
        sa.Column("replays", JSON, server_default="[]", nullable=False),
    ):
        op.add_column("gda_dead_letters", column)
    op.create_table(
        "gda_leases",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_gda_leases")),
    )
    op.create_table(
        "gda_unique_keys",
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("occurrence_id", sa.String(length=36), nullable=False),
        sa.Column("statuses", JSON, nullable=False),
        sa.Column("until", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("kind", "owner", "key", name=op.f("pk_gda_unique_keys")),
    )
    for name, columns, condition in INDEXES:
        where = sa.text(condition)
        op.create_index(name, "gda_occurrences", columns, sqlite_where=where, postgresql_where=where)
    op.create_index("ix_gda_unique_keys_occurrence", "gda_unique_keys", ["occurrence_id"])
    open_letters = sa.text("closed_at IS NULL")
    op.create_index(
        "ix_gda_dead_letters_open",
        "gda_dead_letters",
        ["created_at"],
        sqlite_where=open_letters,
        postgresql_where=open_letters,
    )


def downgrade() -> None:
    """Take them away again; a dead letter that was closed lies open afterwards."""
    op.drop_index("ix_gda_dead_letters_open", "gda_dead_letters")
    for name, _, _ in INDEXES:
        op.drop_index(name, "gda_occurrences")
    op.drop_table("gda_unique_keys")
    op.drop_table("gda_leases")
    for column in ("replays", "announced_at", "closed_as", "closed_at", "fingerprint", "error_class"):
        op.drop_column("gda_dead_letters", column)
    op.drop_column("gda_attempts", "alone")
    op.drop_column("gda_occurrences", "suspect")
