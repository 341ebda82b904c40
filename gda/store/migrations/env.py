"""Alembic's entry: runs migrations on the connection that :mod:`gda.store.schema` hands over."""

from alembic import context

from gda.store.schema import VERSION_TABLE
from gda.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
