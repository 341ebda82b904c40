"""Debts: what a schedule owes by now is written down before it changes, for an edit loses nothing (DESIGN 5)."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from gda.store.commands import PAUSED
from gda.store.promises import Defaults, Waker, promise_due
from gda.store.scopes import Scope

_WAKER = Waker("edit")


async def settle_debts(connection: AsyncConnection, scope: Scope, now: datetime, defaults: Defaults) -> None:
    """Promise every slot of ``scope`` that is due by now, and refuse those of schedules that are paused in Prefect.

    Args:
        connection: the editing transaction.
        scope: the owner whose schedule is about to change.
        now: the database's instant.
        defaults: for columns that the schedules leave open.
    """
    for reason in ("", PAUSED):
        more = True
        while more:
            part = await promise_due(
                connection,
                scope,
                now=now,
                early=timedelta(0),
                waker=_WAKER,
                defaults=defaults,
                refused_as=reason,
            )
            more = part.more
