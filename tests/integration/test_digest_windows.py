"""Which mail stands in which digest when attempts fail: each message once, none lost."""

from pathlib import Path

import pytest

from gda.lifecycle import Status
from gda.runner import WakeUp, settle_alone, wake
from gda.store import Scope, Waker, Which, Wish, Worker
from tests.support.household import Household, a_household
from tests.support.sandbox import plain_mail


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    folder = tmp_path / "mail"
    folder.mkdir()
    (folder / "first.eml").write_bytes(plain_mail("Came first"))
    return folder


def body(delivered) -> bytes:
    return delivered.content.raw.partition(b"\r\n\r\n")[2]


def comes(house: Household, subject: str) -> None:
    account = house.google.sandbox.accounts.by_email("ada@example.org")
    assert account is not None
    house.google.sandbox.add_message(account, plain_mail(subject))


async def the_next_slot_comes(house: Household) -> None:
    await house.store.schedules.set(Wish("ada", "digest", "@hourly", timezone="UTC"))


async def test_mail_that_comes_between_two_attempts_stands_in_the_next_digest_only(tmp_path, mail):
    async with a_household(tmp_path, "ada", mail=mail) as house:
        house.fault("smtp_reject", code=451, times=1)
        refused = await house.asked("ada")
        comes(house, "Came between")
        delivered = await house.asked("ada", run="second")
        await the_next_slot_comes(house)
        next_one = await house.asked("ada", run="third")
        first, second = sorted(house.accepted("ada"), key=lambda accepted: accepted.number)

    assert [str(report) for report in (refused, delivered, next_one)] == ["1 retrying", "1 done", "1 done"]
    assert (b"Came first" in body(first), b"Came between" in body(first)) == (True, False)
    assert (b"Came first" in body(second), b"Came between" in body(second)) == (False, True)


async def test_what_a_dead_digest_would_have_listed_stands_in_the_next_one(tmp_path, mail):
    async with a_household(tmp_path, "ada", mail=mail) as house:
        house.fault("smtp_reject", code=550, times=1)
        dead = await house.asked("ada")
        await the_next_slot_comes(house)
        next_one = await house.asked("ada", run="second")
        [delivered] = house.accepted("ada")

    assert [str(dead), str(next_one)] == ["1 dead", "1 done"]
    assert b"Came first" in body(delivered)


async def test_a_mail_that_still_cannot_be_found_before_the_settling_time_is_waited_for_and_not_sent_again(
    tmp_path, mail
):
    async with a_household(tmp_path, "ada", mail=mail, mail_settling_seconds=3600) as house:
        house.fault("accept_then_drop", times=1)
        house.fault("index_delay", seconds=3600)
        reports = [str(await house.asked("ada", run=run)) for run in ("first", "second", "third")]
        mails = house.accepted("ada")
        [occurrence] = await house.store.history.list()

    assert reports == ["1 retrying"] * 3
    assert occurrence.burnt == 0
    assert len(mails) == 1


async def everything(house: Household, run: str) -> None:
    """What a drain does."""
    call = WakeUp(Scope("digest", user_id="ada"), Worker(run), Waker("drain"))
    await wake(house.desk, call, lambda claims: settle_alone(house.desk, claims))


async def now(house: Household, occurrence: str) -> list[Status | None]:
    """Perform what waits for a later moment at once."""
    scope = Scope("digest", occurrence_ids=(occurrence,))
    claims = await house.store.ledger.claim(scope, Worker("now"), limit=1, impatient=True)
    return await settle_alone(house.desk, claims)


async def test_a_digest_waits_while_an_earlier_one_of_its_schedule_is_in_doubt(tmp_path, mail):
    async with a_household(tmp_path, "ada", mail=mail, mail_settling_seconds=3600) as house:
        house.fault("accept_then_drop", times=1)
        house.fault("index_delay", seconds=3600)
        doubtful = await house.asked("ada")
        [first] = await house.store.history.list()
        await the_next_slot_comes(house)
        waiting = await house.asked("ada", run="second")
        comes(house, "Came later")
        house.google.sandbox.faults.clear()
        found = await now(house, first.id)
        later = await house.asked("ada", run="fourth")
        mails = house.accepted("ada")
        latest = await house.store.history.list()

    assert [str(report) for report in (doubtful, waiting, later)] == ["1 retrying", "1 retrying", "1 done"]
    assert found == [Status.DONE]
    assert {each.burnt for each in latest} == {0}
    assert [b"Came first" in body(each) for each in mails] == [True, False]
    assert [b"Came later" in body(each) for each in mails] == [False, True]


async def test_the_replay_of_an_old_digest_does_not_take_the_schedule_back_to_its_mail(tmp_path, mail):
    async with a_household(tmp_path, "ada", mail=mail) as house:
        house.fault("smtp_reject", code=550, times=1)
        [dead] = (await house.asked("ada")).targets
        await the_next_slot_comes(house)
        comes(house, "Came second")
        await house.asked("ada", run="second")
        await house.store.dead_letters.replay(Which(), by="ada")
        await everything(house, "third")
        replayed = await house.store.ledger.get(dead)
        await house.store.schedules.set(Wish("ada", "digest", "7,37 * * * *", timezone="UTC"))
        comes(house, "Came third")
        await house.asked("ada", run="fourth")
        last = body(house.accepted("ada")[-1])

    # Alone: before a full hour the drain performs that hour's digest too, which has nothing new to list.
    assert replayed.status is Status.DONE
    assert [subject in last for subject in (b"Came first", b"Came second", b"Came third")] == [False, False, True]
