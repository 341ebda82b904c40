"""Single calls share transactions, and each caller gets its own answer."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from gda.store.group_commit import MOST_ITEMS, GroupCommit
from tests.builders import MORNING, VirtualClock


class Transactions:
    """Counts transactions and lets the test hold them open."""

    def __init__(self):
        self.open = 0
        self.sizes: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()

    @asynccontextmanager
    async def __call__(self):
        self.open += 1
        await self.gate.wait()
        yield self
        self.open -= 1


async def doubled(transactions, items, now):
    transactions.sizes.append(len(items))
    return [ValueError("odd") if item % 2 else item * 2 for item in items]


async def failing(transactions, items, now):
    raise RuntimeError("the disk is full")


async def test_calls_made_while_a_transaction_is_open_share_the_next_one():
    transactions = Transactions()
    commit = GroupCommit(transactions, VirtualClock(MORNING))
    transactions.gate.clear()
    first = asyncio.create_task(commit(doubled, 2))
    await asyncio.sleep(0)
    others = [asyncio.create_task(commit(doubled, n)) for n in (4, 6, 8)]
    await asyncio.sleep(0)
    transactions.gate.set()

    assert await asyncio.gather(first, *others) == [4, 8, 12, 16]
    assert sum(transactions.sizes) == 4
    assert len(transactions.sizes) <= 2


async def test_where_several_may_write_as_many_transactions_are_under_way_and_later_calls_wait_for_one():
    transactions = Transactions()
    commit = GroupCommit(transactions, VirtualClock(MORNING), at_once=2)
    transactions.gate.clear()
    tasks = []
    for number in (2, 4, 6, 8):
        tasks.append(asyncio.create_task(commit(doubled, number)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert transactions.open == 2
    transactions.gate.set()
    assert await asyncio.gather(*tasks) == [4, 8, 12, 16]
    assert sorted(transactions.sizes) == [1, 1, 2]


async def test_a_call_that_comes_when_the_last_transaction_has_just_ended_begins_another():
    commit = GroupCommit(Transactions(), VirtualClock(MORNING), at_once=2)

    async def some(first):
        return [await commit(doubled, first + step) for step in range(0, 40, 2)]

    async with asyncio.timeout(10):
        lanes = await asyncio.gather(*(some(first) for first in range(0, 200, 2)))
    assert [sum(lane) for lane in lanes] == [
        sum(2 * (first + step) for step in range(0, 40, 2)) for first in range(0, 200, 2)
    ]


async def test_an_error_of_one_item_is_raised_to_its_caller_alone():
    commit = GroupCommit(Transactions(), VirtualClock(MORNING))

    good, bad = await asyncio.gather(commit(doubled, 2), commit(doubled, 3), return_exceptions=True)

    assert good == 4
    assert isinstance(bad, ValueError)


async def test_a_broken_transaction_is_told_to_every_caller_and_the_next_one_works():
    commit = GroupCommit(Transactions(), VirtualClock(MORNING))

    with pytest.raises(RuntimeError, match="disk is full"):
        await commit(failing, 1)

    assert await commit(doubled, 2) == 4


async def test_a_group_is_bounded():
    transactions = Transactions()
    commit = GroupCommit(transactions, VirtualClock(MORNING))

    await asyncio.gather(*(commit(doubled, 2) for _ in range(MOST_ITEMS * 2 + 1)))

    assert max(transactions.sizes) <= MOST_ITEMS


async def test_a_caller_that_gives_up_does_not_take_its_neighbours_along():
    transactions = Transactions()
    commit = GroupCommit(transactions, VirtualClock(MORNING))
    transactions.gate.clear()
    leaving = asyncio.create_task(commit(doubled, 2))
    staying = asyncio.create_task(commit(doubled, 4))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    transactions.gate.set()

    assert await staying == 8
