"""``gda.testing``: what a stranger tests own job types with."""

import pytest
from pydantic import BaseModel

from gda.declare import job_type
from gda.errors import AlreadyExists, Transient, UsageError
from gda.hooks import Hooks
from gda.job import Job
from gda.outcome import Done
from gda.store.queue import Unique
from gda.testing import a_test_ledger

told: list[int] = []


class Invoice(BaseModel):
    """What an invoice carries."""

    number: int


async def hear(kind, ids):
    told.append(len(ids))


@job_type(kind="invoice", payload=Invoice, hooks=Hooks(on_enqueue=(hear,)))
async def invoice(job: Job) -> Done:
    if job.payload.number == 0:
        raise Transient("no such invoice yet")
    return Done(f"sent {job.payload.number} to {job.occurrence.user_id}")


@job_type(kind="report")
async def report(job: Job) -> Done:
    return Done(f"attempt {job.number}")


async def test_enqueued_work_is_drained_with_its_payload_and_its_hooks_are_told():
    told.clear()
    async with a_test_ledger() as ledger:
        made = await ledger.enqueue(invoice, {"number": 7}, user="ada")
        await ledger.assert_enqueued(invoice, count=1)
        await ledger.drain(invoice)
        [done] = await ledger.assert_settled(invoice, count=1)
    assert (done.id, done.reason, told) == (made.id, "sent 7 to ada", [1])


async def test_what_schedules_promise_is_not_counted_as_enqueued():
    async with a_test_ledger() as ledger:
        await ledger.owe(report, "ada", "daily 07:30")
        await ledger.assert_promised(report, count=1)
        await ledger.assert_enqueued(report, count=0)
        with pytest.raises(AssertionError, match="expected some scheduled or retrying of report"):
            await ledger.assert_enqueued(report)
        await ledger.enqueue(report)
        await ledger.assert_enqueued(report, count=1)
        await ledger.assert_promised(report, count=1)


async def test_what_enqueueing_refuses_is_refused_here_too():
    async with a_test_ledger() as ledger:
        await ledger.enqueue(invoice, {"number": 7}, unique=Unique("k"))
        with pytest.raises(AlreadyExists):
            await ledger.enqueue(invoice, {"number": 7}, unique=Unique("k"))
        with pytest.raises(UsageError, match="number: missing"):
            await ledger.enqueue(invoice)


async def test_performed_inline_a_body_gives_its_outcome_or_error_and_the_ledger_hears_nothing():
    async with a_test_ledger() as ledger:
        assert await ledger.perform_inline(invoice, {"number": 8}, user="bo") == Done("sent 8 to bo")
        assert await ledger.perform_inline(report) == Done("attempt 1")
        with pytest.raises(Transient, match="no such invoice yet"):
            await ledger.perform_inline(invoice, {"number": 0})
        assert await ledger.store.history.list() == []
