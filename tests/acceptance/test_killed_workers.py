"""A worker and its flow run are killed at the worst moments; each digest arrives once all the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gda.glue.runs import close_abandoned_runs
from gda.lifecycle import Status
from tests.support.gate import a_gate
from tests.support.prefect_server import PrefectServer, prefect_server_process, running_worker
from tests.support.sandbox import plain_mail
from tests.support.town import Town, a_town, eventually, kill_with_descendants

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

QUICK_LEASE = {"lease_seconds": 6, "lease_refresh_seconds": 1, "smtp_timeout_seconds": 6}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with prefect_server_process(tmp_path_factory.mktemp("prefect")) as running:
        yield running


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "1.eml").write_bytes(plain_mail("The only one"))
    return tmp_path / "mail"


async def killed_while(town: Town, folder: Path, user: str, reached) -> None:
    """Trigger the user's digest and kill worker and flow run together once ``reached`` is true."""
    async with running_worker(town.server, "gda", home=folder / "doomed", name="doomed") as worker:
        await town.triggered(user)
        await eventually(reached, "the flow run gets where it shall be killed")
        kill_with_descendants(worker.pid)


async def taken_over(town: Town, folder: Path, user: str) -> Status:
    """Trigger again, as ``gda trigger`` does, when the lease has expired, until the occurrence is settled."""
    await eventually(lambda: town.store.ledger.abandoned_runs(), "the lease expires")
    async with running_worker(town.server, "gda", home=folder / "second", name="second"):

        async def settled() -> bool:
            await close_abandoned_runs(town.store)
            await town.ended(await town.triggered(user))
            return (await town.story(user)).occurrence.finished_at is not None

        await eventually(settled, "a second trigger takes the occurrence over")
    return (await town.story(user)).occurrence.status


@pytest.mark.parametrize("hindered", [False, True], ids=["plainly", "with index delay and rewritten message ids"])
async def test_killed_between_send_and_settle_the_next_worker_finds_the_mail(server, tmp_path, mail, hindered):
    user = f"sent-{int(hindered)}"
    async with a_town(server, tmp_path, user, mail=mail, **QUICK_LEASE) as town:
        town.fault("smtp_slow", seconds=5, after=True)
        if hindered:
            town.fault("index_delay", seconds=12)
            town.fault("rewrite_message_id")

        async def sent() -> bool:
            return len(town.accepted(user)) == 1

        await killed_while(town, tmp_path, user, sent)
        before = await town.story(user)
        status = await taken_over(town, tmp_path, user)
        after = await town.story(user)
        mails = town.accepted(user)

    assert (before.occurrence.status, before.effects[0].state) == (Status.RUNNING, "intent")
    assert status is Status.DONE
    assert after.effects[0].state == "confirmed"
    assert after.effects[0].provider_reference == "found in the mailbox"
    assert after.attempts[0].outcome == "lost"
    assert after.attempts[-1].outcome == "done"
    assert hindered or len(after.attempts) == 2
    assert after.occurrence.burnt == 0
    assert len(mails) == 1


@pytest.mark.parametrize("hindered", [False, True], ids=["plainly", "with index delay and rewritten message ids"])
async def test_killed_between_intent_and_send_the_mail_goes_out_once(server, tmp_path, mail, hindered):
    user = f"unsent-{int(hindered)}"
    async with a_town(server, tmp_path, user, mail=mail, mail_settling_seconds=8, **QUICK_LEASE) as town:
        if hindered:
            town.fault("index_delay", seconds=4)
            town.fault("rewrite_message_id")
        async with a_gate(town.google.smtp_port) as gate:
            gate.shut()
            await town.mail_server_at(gate.port)

            async def stands_before_the_gate() -> bool:
                return gate.waiting.is_set()

            await killed_while(town, tmp_path, user, stands_before_the_gate)
            before = await town.story(user)
            gate.open()
            status = await taken_over(town, tmp_path, user)
        after = await town.story(user)
        mails = town.accepted(user)

    assert (before.occurrence.status, before.effects[0].state) == (Status.RUNNING, "intent")
    assert status is Status.DONE
    assert after.effects[0].state == "confirmed"
    assert len(mails) == 1
    assert mails[0].occurrence == after.occurrence.id
