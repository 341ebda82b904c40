"""``gda health`` on a database of the test's own."""

import json

import pytest

from gda.store import Store
from tests.support.command import Gda, ledger, make_database


def test_without_a_database_health_says_what_to_run(capsys: pytest.CaptureFixture[str]) -> None:
    answer = Gda(capsys)("health")
    assert answer.code == 1
    assert "run `gda db upgrade`" in answer.out


def test_nobody_sweeping_is_unhealthy_and_a_sweep_just_ended_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    make_database()
    gda = Gda(capsys)
    never = gda("health", "--json")

    async def sweep(store: Store) -> None:
        from datetime import timedelta

        lease = await store.leases.acquire("sweep", "test", timedelta(minutes=1))
        assert lease
        await store.leases.release(lease)

    ledger(sweep)
    after = gda("health", "--json")
    assert (never.code, after.code) == (1, 0)
    assert [check["name"] for check in json.loads(never.out)["checks"] if not check["ok"]] == ["last sweep"]
    assert json.loads(after.out)["healthy"] is True
