"""How long closed dead letters are kept is a setting, and the nightly flow heeds it."""

from datetime import UTC, datetime, timedelta

import pytest

from flows.retention import prune_old_rows
from gda.lifecycle import DeadReason, Settlement, Status
from gda.settings import Settings
from gda.store import ByHand, Scope, Waker, Which, Worker
from tests.builders import VirtualClock, a_store, a_user_with_digest
from tests.support.flow_runs import environment_of, prefect_within_this_process

pytestmark = pytest.mark.slow
ADA = Scope("digest", user_id="ada")
DEAD = Settlement(Status.DEAD, "failed", burns=True, reason="550", dead_reason=DeadReason.PERMANENT)


@pytest.mark.parametrize(("days", "left"), [(4, 1), (2, 0)])
async def test_a_letter_closed_three_days_ago_goes_when_the_setting_says_so(
    prefect_server, tmp_path, monkeypatch, days, left
):
    url = f"sqlite+aiosqlite:///{tmp_path}/gda.db"
    for name, value in environment_of(Settings(database_url=url, dead_letter_retention_days=days)).items():
        monkeypatch.setenv(name, value)
    # The flow goes by the database's own clock, so the letter is closed by one that is late.
    async with a_store(url, clock=VirtualClock(datetime.now(UTC) - timedelta(days=3))) as past:
        await a_user_with_digest(past)
        await past.ledger.promise_by_hand(ADA, ByHand(), Waker("hand"))
        [claim] = await past.ledger.claim(ADA, Worker("w"), limit=1)
        await past.ledger.settle(claim, await past.ledger.start(claim), DEAD)
        await past.dead_letters.discard(Which(), by="ops")
    async with prefect_server.client(), a_store(url) as store, prefect_within_this_process():
        ended = await prune_old_rows(return_state=True)
        kept = await store.dead_letters.find(Which(closed=True))

    assert ended.is_completed()
    assert len(kept) == left
