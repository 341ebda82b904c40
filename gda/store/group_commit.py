"""Many single calls, few transactions: calls made while a transaction is under way share the next one.

An occurrence asks for its own small write and waits until that is durable, as if it were alone; under load one commit
carries the writes of all occurrences that are waiting. Nothing is delayed on purpose: a lone call is written at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class GroupCommit(Generic[Item, Answer]):
    """Turns a batched verb into one that is called item by item.

    Args:
        write: writes a batch in one transaction and returns an answer per item, in order; an answer that is an
            exception is raised to that item's caller alone, an exception raised by ``write`` to every caller.
        limit: most items in one transaction.
    """

    def __init__(
        self, write: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]], limit: int = 256
    ) -> None:
        self._write = write
        self._limit = limit
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Answer:
        """Write ``item`` and return its answer once it is durable."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        # A cancelled caller must not cancel the write its neighbours wait for.
        return await answer

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                await self._write_batch(batch)
        finally:
            self._writer = None

    async def _write_batch(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._write([item for item, _ in batch])
        except Exception as error:
            for _, future in batch:
                _give(future, error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            _give(future, answer)


def _give(future: "asyncio.Future[Answer]", answer: Answer | Exception) -> None:
    if future.cancelled():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
