"""The digest against the sandbox: real HTTP, real SMTP, every way an attempt can end."""

from pathlib import Path

import pytest

from gda.lifecycle import Status
from gda.store import Wish
from tests.support.household import Household, a_household
from tests.support.sandbox import plain_mail


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    folder = tmp_path / "mail"
    folder.mkdir()
    for number in range(3):
        content = plain_mail(f"Subject number {number}", sender=f"Friend {number} <f{number}@example.net>")
        (folder / f"{number}.eml").write_bytes(content)
    return folder


def body(delivered) -> bytes:
    return delivered.content.raw.partition(b"\r\n\r\n")[2]


async def the_story(house: Household):
    [occurrence] = await house.store.history.list(kind="digest")
    return await house.store.history.story(occurrence.id)


async def test_a_digest_lists_every_new_message_with_sender_and_subject(tmp_path, mail):
    async with a_household(tmp_path, "ada", mail=mail) as house:
        report = await house.asked("ada")
        [delivered] = house.accepted("ada")
        story = await the_story(house)

    text = delivered.content.raw.decode()
    assert str(report) == "1 done"
    assert story.occurrence.reason == "3 messages"
    for number in range(3):
        assert f"Subject number {number}" in text
        assert f"Friend {number}" in text
    assert delivered.occurrence == story.occurrence.id
    assert story.occurrence.id in delivered.message_id
    assert [(effect.state, effect.reference) for effect in story.effects] == [
        ("confirmed", f"<{delivered.message_id}>")
    ]


async def test_the_next_digest_lists_only_what_came_since_and_never_gdas_own_mail(tmp_path, mail):
    async with a_household(tmp_path, "ada", mail=mail) as house:
        await house.asked("ada")
        account = house.google.sandbox.accounts.by_email("ada@example.org")
        house.google.sandbox.add_message(account, plain_mail("Just in"))
        await house.store.schedules.set(Wish("ada", "digest", "@hourly", timezone="UTC"))

        report = await house.asked("ada")
        first, second = sorted(house.accepted("ada"), key=lambda accepted: accepted.number)

    assert str(report) == "1 done"
    assert b"Subject number 1" in body(first)
    assert b"Just in" in body(second)
    assert b"Subject number" not in body(second)
    assert b"GDA digest" not in body(second)


async def test_an_extra_digest_leaves_the_scheduled_one_whole(tmp_path, mail):
    async with a_household(tmp_path, "ada", mail=mail) as house:
        await house.asked("ada", extra="first")
        await house.asked("ada")
        mails = house.accepted("ada")

    assert len(mails) == 2
    assert all(b"Subject number 2" in body(delivered) for delivered in mails)


async def test_an_extra_digest_shows_the_last_day_even_right_after_the_scheduled_one(tmp_path, mail):
    async with a_household(tmp_path, "ada", mail=mail) as house:
        await house.asked("ada")
        report = await house.asked("ada", extra="first")
        scheduled, extra = sorted(house.accepted("ada"), key=lambda accepted: accepted.number)

    assert str(report) == "1 done"
    assert scheduled.occurrence != extra.occurrence
    assert b"Subject number 2" in body(extra)


async def test_an_empty_mailbox_day_is_skipped_with_its_reason_and_no_mail(tmp_path):
    (tmp_path / "empty").mkdir()
    async with a_household(tmp_path, "ada", mail=tmp_path / "empty") as house:
        report = await house.asked("ada")
        story = await the_story(house)
        mails = house.accepted("ada")

    assert str(report) == "1 skipped"
    assert (story.occurrence.status, story.occurrence.reason) == (Status.SKIPPED, "no new mail")
    assert mails == []


async def test_a_server_that_drops_the_line_after_taking_the_mail_is_asked_and_not_sent_to_again(tmp_path, mail):
    async with a_household(tmp_path, "ada", mail=mail) as house:
        house.fault("accept_then_drop", times=1)
        report = await house.asked("ada")
        story = await the_story(house)
        mails = house.accepted("ada")

    assert str(report) == "1 done"
    assert len(mails) == 1
    assert story.effects[0].provider_reference == "found in the mailbox"


@pytest.mark.parametrize("rewritten", [False, True])
async def test_while_the_index_is_late_a_mail_in_doubt_waits_unburnt_and_is_found_later(tmp_path, mail, rewritten):
    async with a_household(tmp_path, "ada", mail=mail) as house:
        house.fault("accept_then_drop", times=1)
        house.fault("index_delay", seconds=3600)
        if rewritten:
            house.fault("rewrite_message_id")
        doubtful = await house.asked("ada")
        waiting = await the_story(house)
        house.google.sandbox.faults.clear()

        found = await house.asked("ada", run="second")
        story = await the_story(house)
        mails = house.accepted("ada")

    assert (str(doubtful), str(found)) == ("1 retrying", "1 done")
    assert waiting.occurrence.burnt == 0
    assert [attempt.outcome for attempt in story.attempts] == ["snoozed", "done"]
    assert story.effects[0].state == "confirmed"
    assert len(mails) == 1


async def test_what_is_not_found_after_the_settling_time_is_sent_again_under_the_same_message_id(tmp_path, mail):
    async with a_household(tmp_path, "ada", mail=mail, mail_settling_seconds=0) as house:
        house.fault("accept_then_drop", times=1)
        house.fault("index_delay", seconds=3600)
        await house.asked("ada")

        report = await house.asked("ada", run="second")
        first, second = house.accepted("ada")

    assert str(report) == "1 done"
    assert first.message_id == second.message_id
    assert first.content.raw == second.content.raw


async def test_a_refused_mail_is_known_not_to_be_sent_and_is_retried_without_waiting(tmp_path, mail):
    async with a_household(tmp_path, "ada", mail=mail) as house:
        house.fault("smtp_reject", code=451, times=1)
        first = await house.asked("ada")
        between = await the_story(house)

        second = await house.asked("ada", run="second")
        mails = house.accepted("ada")

    assert (str(first), str(second)) == ("1 retrying", "1 done")
    assert between.effects[0].state == "refused"
    assert between.occurrence.burnt == 1
    assert len(mails) == 1


async def test_a_mail_that_is_refused_for_good_makes_a_dead_letter(tmp_path, mail):
    async with a_household(tmp_path, "ada", mail=mail) as house:
        house.fault("smtp_reject", code=550)
        report = await house.asked("ada")
        again = await house.asked("ada", run="second")
        story = await the_story(house)

    assert str(report) == "1 dead"
    assert story.dead_reason == "permanent"
    assert "use replay" in str(again)


async def test_an_answer_of_503_is_tried_again_by_the_ledger_when_the_client_gave_up(tmp_path, mail):
    async with a_household(tmp_path, "ada", mail=mail) as house:
        house.fault("server_error", endpoint="messages.list", status=503, times=3)
        first = await house.asked("ada")
        second = await house.asked("ada", run="second")
        story = await the_story(house)

    assert (str(first), str(second)) == ("1 retrying", "1 done")
    assert [attempt.outcome for attempt in story.attempts] == ["failed", "done"]
    assert story.attempts[0].error_class == "Transient"


async def test_a_revoked_grant_holds_the_occurrence_and_burns_nothing(tmp_path, mail):
    async with a_household(tmp_path, "ada", mail=mail) as house:
        account = house.google.sandbox.accounts.by_email("ada@example.org")
        house.google.sandbox.set_revoked(account, True)
        report = await house.asked("ada")
        story = await the_story(house)
        credential = await house.store.credentials.get("ada")

    assert str(report) == "1 held"
    assert (story.occurrence.status, story.occurrence.reason) == (Status.HELD, "consent:google")
    assert story.occurrence.burnt == 0
    assert credential is not None
    assert credential.status == "needs-consent"


async def test_one_users_trouble_is_not_the_neighbours(tmp_path, mail):
    async with a_household(tmp_path, "ada", "bruno", mail=mail) as house:
        house.fault("smtp_reject", code=550, user="ada@example.org")
        reports = [str(await house.asked(user, run=user)) for user in ("ada", "bruno")]

    assert reports == ["1 dead", "1 done"]
