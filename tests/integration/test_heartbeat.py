"""Leases are renewed by a thread: a blocked event loop does not lose its claims, a stopped one renews nothing."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from gda.heartbeat import Heartbeat
from gda.lifecycle import Claim, Status
from gda.settings import Settings
from gda.store import ByHand, Scope, Store, Waker, Worker
from tests.builders import a_store, a_user_with_digest

ADA = Scope("digest", user_id="ada")
ME = Worker("me")
PATIENCE_SECONDS = 30
SHORT = {"lease_seconds": 4, "lease_refresh_seconds": 0.2}


@asynccontextmanager
async def a_claim(tmp_path: Path) -> AsyncIterator[tuple[Settings, Store, Claim]]:
    """Ada's occurrence, claimed under a lease of four seconds."""
    url = f"sqlite+aiosqlite:///{tmp_path}/gda.db"
    async with a_store(url, **SHORT) as store:
        await a_user_with_digest(store)
        await store.ledger.promise_by_hand(ADA, ByHand(), Waker("hand"))
        [claim] = await store.ledger.claim(ADA, ME, limit=1)
        yield Settings(database_url=url, **SHORT), store, claim


def lease_end(tmp_path: Path) -> str:
    with closing(sqlite3.connect(tmp_path / "gda.db")) as connection:
        [[expiry]] = connection.execute("SELECT lease_expires_at FROM gda_occurrences").fetchall()
    return str(expiry)


def block_until_renewed(tmp_path: Path, times: int) -> int:
    """Hold the thread, and with it the event loop, until another has renewed the lease so often; returns how often."""
    ends = {lease_end(tmp_path)}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(ends) <= times and time.monotonic() < deadline:
        time.sleep(0.05)
        ends.add(lease_end(tmp_path))
    return len(ends) - 1


async def test_an_event_loop_blocked_for_less_than_half_a_lease_keeps_its_claim(tmp_path):
    async with a_claim(tmp_path) as (settings, store, claim), Heartbeat(settings, store, ME):
        renewed = block_until_renewed(tmp_path, 3)
        taken = await store.ledger.claim(ADA, Worker("taker"), limit=1)
        await store.ledger.check(claim)

    assert renewed >= 3
    assert taken == []


async def test_without_a_heartbeat_the_same_block_loses_the_claim(tmp_path):
    async with a_claim(tmp_path) as (settings, store, _):
        time.sleep(settings.lease_seconds + 0.2)
        [taken] = await store.ledger.claim(ADA, Worker("taker"), limit=1)

    assert taken.fence == 2


async def test_on_leaving_the_thread_has_ended_and_the_lease_runs_out(tmp_path):
    async with a_claim(tmp_path) as (settings, store, claim):
        async with Heartbeat(settings, store, ME):
            assert "gda-heartbeat" in {thread.name for thread in threading.enumerate()}
            block_until_renewed(tmp_path, 1)
        assert "gda-heartbeat" not in {thread.name for thread in threading.enumerate()}
        time.sleep(settings.lease_seconds + 0.2)
        [taken] = await store.ledger.claim(ADA, Worker("taker"), limit=1)

    assert taken.occurrence.id == claim.occurrence.id


async def test_it_renews_nobody_elses_lease(tmp_path):
    async with a_claim(tmp_path) as (settings, store, _), Heartbeat(settings, store, Worker("somebody else")):
        await asyncio.sleep(settings.lease_seconds + 0.2)
        [taken] = await store.ledger.claim(ADA, Worker("taker"), limit=1)

    assert taken.occurrence.status is Status.RUNNING


async def test_a_beat_that_fails_is_survived_and_named_without_its_text(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "gda.heartbeat")
    async with a_claim(tmp_path) as (settings, store, _):
        elsewhere = settings.model_copy(update={"database_url": None, "home": tmp_path / "absent"})
        async with Heartbeat(elsewhere, store, ME):
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not caplog.records and time.monotonic() < deadline:
                time.sleep(0.05)

    assert caplog.records[0].getMessage() == "leases could not be renewed (OperationalError); trying again"


@pytest.mark.parametrize("error", [KeyError, RuntimeError])
async def test_an_error_inside_passes_through_and_stops_the_thread(tmp_path, error):
    async with a_claim(tmp_path) as (settings, store, _):
        with pytest.raises(error):
            async with Heartbeat(settings, store, ME):
                raise error
        assert "gda-heartbeat" not in {thread.name for thread in threading.enumerate()}
