"""Who refreshes a token now, which expiry has a refresh promised, and when a user last consented."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE, INDEX = "gda_credentials", "ix_gda_credentials_expiring"
INSTANTS = ("granted_at", "refreshing_until", "promised_at")


def upgrade() -> None:
    """Add the columns and the index."""
    op.add_column(TABLE, sa.Column("fence", sa.Integer(), nullable=False, server_default="0"))
    for name in INSTANTS:
        op.add_column(TABLE, sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    condition = sa.text("status = 'active' AND promised_at IS NULL")
    op.create_index(INDEX, TABLE, ["expires_at"], sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    """Take them away again."""
    op.drop_index(INDEX, TABLE)
    for name in (*INSTANTS, "fence"):
        op.drop_column(TABLE, name)
