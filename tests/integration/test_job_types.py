"""A stranger's job type, from its declaration to its dead letter, through the public API alone."""

from datetime import timedelta

import pytest

from gda.declare import job_type
from gda.errors import AlreadyExists, Permanent, Transient, UnknownKind, UsageError
from gda.hooks import Hooks
from gda.job import Job
from gda.lifecycle import Status
from gda.middleware.recovery import recover
from gda.outcome import Done, Skip
from gda.registry import Registry, load_registry
from gda.retry import RetryPolicy
from gda.testing import a_test_ledger


@job_type(kind="stock-take", once_per="day")
def stock_take(job: Job) -> Done:
    return Done("12 shelves")


async def test_a_plain_function_is_performed_once():
    async with a_test_ledger() as ledger:
        await ledger.owe(stock_take, "ada", "daily 07:30")
        await ledger.assert_promised(stock_take, count=1)

        reports = [str(await ledger.drain(stock_take)) for _ in range(2)]

        [done] = await ledger.assert_settled(stock_take, count=1)
        with pytest.raises(AssertionError, match=r"expected some dead of stock-take; there is: ada .* done"):
            await ledger.assert_dead(stock_take)
    assert (reports, done.reason) == (["1 done", "nothing due"], "12 shelves")


async def test_hooks_hear_of_each_attempt_and_of_the_death_and_one_that_fails_harms_nobody():
    heard = []

    async def broken(job):
        raise ValueError

    async def started(job):
        heard.append(f"attempt {job.number}")

    async def again(claim, settlement):
        heard.append("again")

    async def died(claim, settlement):
        heard.append(f"dead of {settlement.dead_reason}")

    hooks = Hooks(before_job=(broken, started), on_retry=(again,), on_dead=(died,))

    @job_type(kind="fragile", retry=RetryPolicy(attempts=2, in_run_retries=0), hooks=hooks)
    async def fragile(job):
        raise Transient("503")

    async with a_test_ledger() as ledger:
        await ledger.owe(fragile, "ada", "daily 07:30")
        await ledger.drain(fragile)
        ledger.clock.advance(minutes=5)
        await ledger.drain(fragile)
        await ledger.assert_dead(fragile, count=1)
    assert heard == ["attempt 1", "again", "attempt 2", "dead of attempts"]


async def test_a_foreign_error_means_what_its_recovery_says():
    @job_type(kind="foreign", middleware=[recover({LookupError: lambda _: Permanent("no such shelf")})])
    async def foreign(job):
        raise KeyError("secret")

    async with a_test_ledger() as ledger:
        await ledger.owe(foreign, "ada", "daily 07:30")
        await ledger.drain(foreign)
        [dead] = await ledger.assert_dead(foreign, count=1)
    assert dead.reason == "no such shelf"


async def test_middleware_may_answer_in_the_body_s_place():
    async def closed(job, call_next):
        return Skip("closed today")

    @job_type(kind="guarded", middleware=[closed], timeout=timedelta(seconds=1))
    async def guarded(job):
        raise AssertionError

    async with a_test_ledger() as ledger:
        await ledger.owe(guarded, "ada", "daily 07:30")
        await ledger.drain(guarded)
        await ledger.assert_settled(guarded, Status.SKIPPED, count=1)


def test_an_old_name_leads_to_the_kind_and_a_wrong_one_names_the_nearest():
    registry = Registry()
    renamed = registry.register(job_type(kind="stock-count", aliases=["inventory"])(lambda job: None))

    assert registry.get("inventory") is renamed
    with pytest.raises(UnknownKind, match="did you mean stock-count"):
        registry.get("stock-cuont")
    with pytest.raises(AlreadyExists, match="'inventory' is registered already, as an earlier name of stock-count"):
        registry.register(job_type(kind="inventory")(lambda job: None))
    with pytest.raises(AlreadyExists, match="'digest' is registered already"):
        load_registry().register(job_type(kind="digest")(lambda job: None))
    assert load_registry().get("digest").kind == "digest"


def test_a_wrong_declaration_is_refused_with_advice():
    with pytest.raises(UsageError, match="did you mean critical"):
        job_type(kind="a", queue="critcal")
    with pytest.raises(UsageError, match="write stock-take"):
        job_type(kind="StockTake")
    with pytest.raises(UsageError, match=r"write package\.module\.function, with dots"):
        job_type(kind="a", flow="acme_jobs/flows.py:deliver")
    with pytest.raises(UsageError, match="name each earlier name once, and not the kind itself"):
        job_type(kind="a", aliases=["a"])
    with pytest.raises(UsageError, match="it is called with \\(job\\)"):
        job_type(kind="a")(lambda: None)


def test_an_entry_point_of_another_name_or_thing_is_left_out_and_its_kind_says_why():
    registry = Registry()
    registry.announce("stocktake", lambda: stock_take)
    registry.announce("stock-list", lambda: "a string")
    registry.announce("stock-map", lambda: 1 / 0)

    with pytest.raises(UnknownKind, match=r"'stocktake' is left out: .* gives kind 'stock-take': name the entry point"):
        registry.get("stocktake")
    with pytest.raises(UnknownKind, match="gives a str; it must name what @job_type made"):
        registry.get("stock-list")
    with pytest.raises(UnknownKind, match=r"its package cannot be imported \(ZeroDivisionError\)"):
        registry.get("stock-map")
