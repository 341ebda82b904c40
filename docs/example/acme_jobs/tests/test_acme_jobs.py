"""Acme's tests of its own job types, with what GDA gives for that."""

import logging

import pytest
from gda.enqueue import NewJob, enqueue
from gda.errors import UsageError
from gda.lifecycle import Status
from gda.registry import Registry, load_registry
from gda.testing import a_test_ledger

from acme_jobs.invoices import invoice
from acme_jobs.reports import sales_report

ORDER = {"number": 7, "customer": "Ada", "cents": 1250}


@pytest.fixture(autouse=True)
def outbox(tmp_path, monkeypatch):
    """A folder of the test's own for papers."""
    monkeypatch.setenv("ACME_OUTBOX", str(tmp_path))
    return tmp_path


def acme() -> Registry:
    """Acme's job types, without installing the package."""
    registry = Registry()
    registry.register(invoice)
    registry.register(sales_report)
    return registry


async def test_an_enqueued_invoice_is_printed_once(outbox):
    async with a_test_ledger() as ledger:
        await enqueue(ledger.store.queue, acme(), ledger.settings, NewJob("invoice", ORDER))
        await ledger.assert_enqueued(invoice, count=1)
        await ledger.drain(invoice)
        await ledger.drain(invoice)
        [done] = await ledger.assert_settled(invoice, count=1)

    assert (done.reason, done.queue) == ("invoice 7", "bulk")
    assert [paper.name for paper in outbox.iterdir()] == ["invoice-7.txt"]


async def test_an_invoice_without_a_number_is_refused_before_anything_is_written():
    async with a_test_ledger() as ledger:
        with pytest.raises(UsageError, match="number: missing"):
            await enqueue(ledger.store.queue, acme(), ledger.settings, NewJob("invoice", {"customer": "Ada"}))


async def test_a_number_that_was_printed_already_gives_up_and_the_office_hears_of_it(outbox, caplog):
    caplog.set_level(logging.ERROR, "acme_jobs")
    (outbox / "invoice-7.txt").touch()
    async with a_test_ledger() as ledger:
        await enqueue(ledger.store.queue, acme(), ledger.settings, NewJob("invoice", ORDER))
        await ledger.drain(invoice)
        [dead] = await ledger.assert_dead(invoice, count=1)

    assert dead.reason == "an invoice of this number lies there already"
    assert caplog.messages == [f"{dead.id} gave up: permanent"]


async def test_each_slot_of_a_users_schedule_is_reported_once(outbox):
    async with a_test_ledger() as ledger:
        await ledger.owe(sales_report, "ada", "daily 07:30")
        await ledger.drain(sales_report)
        ledger.clock.advance(days=1)
        await ledger.drain(sales_report)
        await ledger.assert_settled(sales_report, count=2)

    assert sorted(paper.name for paper in outbox.iterdir()) == [
        "report-ada-2026-03-10T07:30.txt",
        "report-ada-2026-03-11T07:30.txt",
    ]


async def test_there_is_no_report_on_a_day_that_acme_is_closed(outbox, monkeypatch):
    monkeypatch.setenv("ACME_CLOSED_ON", "2026-03-10")
    async with a_test_ledger() as ledger:
        await ledger.owe(sales_report, "ada", "daily 07:30")
        await ledger.drain(sales_report)
        [skipped] = await ledger.assert_settled(sales_report, Status.SKIPPED, count=1)

    assert (skipped.reason, list(outbox.iterdir())) == ("closed on 2026-03-10", [])


def test_the_installed_package_brings_its_kinds():
    assert load_registry().get("invoice") is invoice
    assert load_registry().get("report") is sales_report
