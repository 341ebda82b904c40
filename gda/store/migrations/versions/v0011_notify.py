"""What users prefer to be told through, their browsers, and what quiet hours hold."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
PREFERENCES, PUSH, HELD = "gda_notify_preferences", "gda_push_subscriptions", "gda_held_notices"


def upgrade() -> None:
    """Create the three tables."""
    op.create_table(
        PREFERENCES,
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("channels", sa.String(100), nullable=False),
        sa.Column("quiet", sa.String(11), server_default="", nullable=False),
        sa.Column("chat_address", sa.Text(), nullable=True),
        sa.Column("updated_at", INSTANT, nullable=False),
        _of_a_user(PREFERENCES),
        sa.PrimaryKeyConstraint("user_id", name=op.f(f"pk_{PREFERENCES}")),
    )
    op.create_table(
        PUSH,
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        _of_a_user(PUSH),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{PUSH}")),
    )
    op.create_index(f"ix_{PUSH}_user", PUSH, ["user_id"])
    _create_held()


def downgrade() -> None:
    """Take them away again."""
    op.drop_table(HELD)
    op.drop_table(PUSH)
    op.drop_table(PREFERENCES)


def _create_held() -> None:
    op.create_table(
        HELD,
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("cause", sa.String(200), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.Text(), server_default="", nullable=False),
        sa.Column("release_at", INSTANT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("occurrence_id", sa.String(36), nullable=True),
        sa.Column("told_at", INSTANT, nullable=True),
        _of_a_user(HELD),
        sa.PrimaryKeyConstraint("user_id", "cause", name=op.f(f"pk_{HELD}")),
    )
    waiting = sa.text("occurrence_id IS NULL")
    op.create_index(f"ix_{HELD}_waiting", HELD, ["release_at"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_index(f"ix_{HELD}_occurrence", HELD, ["occurrence_id"])


def _of_a_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["gda_users.id"], name=op.f(f"fk_{table}_user_id"), ondelete="CASCADE")
