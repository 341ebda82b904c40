"""What the ledger asks for again and again is answered through indexes, however many rows lie there settled."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import event

from gda.store import ByHand, Scope, Store, Waker, Worker
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest

DIGESTS = Scope("digest")
ME = Worker("me")

QUESTIONS: dict[str, tuple[Callable[[Store], Awaitable[Any]], set[str]]] = {
    "claim": (lambda store: store.ledger.claim(DIGESTS, ME, limit=10), {"ready", "expired"}),
    "suspects": (lambda store: store.ledger.claim(DIGESTS, ME, limit=1, suspects=True), {"ready", "expired"}),
    "recover": (lambda store: store.ledger.recover(), {"expired"}),
    "next ready": (lambda store: store.ledger.next_ready(DIGESTS), {"ready"}),
    "backlog": (lambda store: store.ledger.backlog(DIGESTS), {"ready"}),
    "renew": (lambda store: store.ledger.renew(ME), {"lease"}),
    "hand back": (lambda store: store.ledger.hand_back(ME), {"lease"}),
    "abandoned runs": (lambda store: store.ledger.abandoned_runs(), {"expired"}),
    "release": (lambda store: store.ledger.release("consent:google"), {"held"}),
    "expire held": (lambda store: store.ledger.expire_held(), {"held"}),
}


@pytest.mark.parametrize("name", QUESTIONS)
async def test_the_ledger_looks_only_at_what_is_not_settled(tmp_path, name):
    ask, wanted = QUESTIONS[name]
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock(MORNING)) as store:
        await a_user_with_digest(store)
        asked = await statements_of(store, ask)
        plans = [line for statement in asked for line in await plan_of(store, *statement)]

    looks = [line for line in plans if "gda_occurrences" in line and "(id=?)" not in line]
    used = {match[1] for line in looks if (match := re.search(r"ix_gda_occurrences_(\w+)", line))}
    assert used == wanted, plans
    # Each look is served by one of the indexes that leave settled rows out.
    assert all("ix_gda_occurrences_" in line for line in looks), plans


async def test_an_errand_reads_no_table_through(tmp_path):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db") as store:
        await a_user_with_digest(store)
        await store.ledger.promise_by_hand(DIGESTS, ByHand(), Waker("hand"))
        [claim] = await store.ledger.claim(DIGESTS, ME, limit=1)
        asked = await statements_of(store, lambda store: store.effects.errand(claim))
        plans = [line for statement in asked for line in await plan_of(store, *statement)]

    looks = [line for line in plans if "gda_" in line]
    assert len(looks) == 5, plans
    assert all(re.search(r"SEARCH .*\((\w*id)=\?", line) for line in looks), plans


async def statements_of(store: Store, ask: Callable[[Store], Awaitable[Any]]) -> list[tuple[str, Any]]:
    """Everything that is asked of the database meanwhile, with parameters."""
    seen: list[tuple[str, Any]] = []

    def keep(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if "gda_" in statement:
            seen.append((statement, parameters))

    engine = store.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", keep)
    try:
        await ask(store)
    finally:
        event.remove(engine, "before_cursor_execute", keep)
    return seen


async def plan_of(store: Store, statement: str, parameters: Any) -> list[str]:
    """SQLite's plan, a line per step."""
    async with store.database.read() as connection:
        rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [str(row[3]) for row in rows]
