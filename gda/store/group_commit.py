"""Many single calls, few transactions: calls made while all that may be under way are, share the next one.

An occurrence asks for its own small write and waits until that is durable, as if it were alone; under load one commit
carries the writes of all occurrences that are waiting, whatever their verbs. Nothing is delayed on purpose: a lone call
is written at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from gda.store.database import Clock

Item = TypeVar("Item")
Answer = TypeVar("Answer")

Verb = Callable[[AsyncConnection, Sequence[Item], datetime], Awaitable[Sequence[Answer | Exception]]]
"""Does many items' work in the caller's transaction, at the database's instant.

Returns an answer per item, in order; an answer that is an exception is raised to that item's caller alone.
"""

MOST_ITEMS = 256
TRIES = 3
DEADLOCK = "40P01"
"""PostgreSQL's code (its manual, appendix A). A group's rows have an order within each verb only, so that whoever takes
many rows too (a heartbeat, another group) may meet it half-way."""


@dataclass(slots=True)
class _Call:
    verb: Verb[Any, Any]
    item: Any
    answer: "asyncio.Future[Any]"


class GroupCommit:
    """Runs batched verbs that are called item by item.

    Args:
        transaction: opens the transaction that a group shares.
        clock: read once in each transaction.
        at_once: transactions under way at once; more than one only where the database lets several write.
    """

    def __init__(
        self,
        transaction: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        clock: Clock,
        *,
        at_once: int = 1,
    ) -> None:
        self._transaction = transaction
        self._clock = clock
        self._at_once = at_once
        self._waiting: list[_Call] = []
        self._workers: set[asyncio.Task[None]] = set()

    async def __call__(self, verb: Verb[Item, Answer], item: Item) -> Answer:
        """Do ``verb`` for ``item`` and return its answer once the transaction has ended.

        Raises:
            Exception: what the verb answered for this item, or what broke the whole transaction.
        """
        call = _Call(verb, item, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if len(self._workers) < self._at_once:
            self._workers.add(asyncio.create_task(self._work()))
        # A cancelled caller leaves its work in the group: its neighbours wait for the same transaction.
        answer: Answer = await call.answer
        return answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:MOST_ITEMS], self._waiting[MOST_ITEMS:]
                await self._run(group)
        finally:
            # Here, and not in a callback: a call that came between the two would find no one to do it.
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _run(self, group: list[_Call]) -> None:
        for call, answer in await self._answered(group):
            _give(call.answer, answer)

    async def _answered(self, group: list[_Call]) -> list[tuple[_Call, Any]]:
        left = TRIES
        while True:
            left -= 1
            try:
                return await self._together(group)
            # A signal's exception too: this task would swallow it, and everybody in the group would wait for good.
            except BaseException as error:
                if not (left and _deadlocked(error)):
                    return [(call, error) for call in group]

    async def _together(self, group: list[_Call]) -> list[tuple[_Call, Any]]:
        answers: list[tuple[_Call, Any]] = []
        async with self._transaction() as connection:
            now = await self._clock.now(connection)
            for verb in dict.fromkeys(call.verb for call in group):
                calls = [call for call in group if call.verb is verb]
                answers += zip(calls, await verb(connection, [call.item for call in calls], now), strict=True)
        return answers


def _deadlocked(error: BaseException) -> bool:
    """Whether PostgreSQL ended the transaction to free another one: nothing was written, and it may be done again."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == DEADLOCK


def _give(future: "asyncio.Future[Any]", answer: Any) -> None:
    if future.cancelled():
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
