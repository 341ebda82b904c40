"""Which deaths a kind's hooks were told of."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLE = "gda_dead_letters"
INDEX = "ix_gda_dead_letters_untold"


def upgrade() -> None:
    """Add the column and its index; deaths of before count as told, for nobody waits for news of them."""
    op.add_column(TABLE, sa.Column("told_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE gda_dead_letters SET told_at = created_at")
    condition = sa.text("told_at IS NULL")
    op.create_index(INDEX, TABLE, ["created_at"], sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    """Take them away again."""
    op.drop_index(INDEX, TABLE)
    op.drop_column(TABLE, "told_at")
