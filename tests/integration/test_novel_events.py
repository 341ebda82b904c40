"""Reports of calendar changes against the sandbox: real HTTP, real SMTP, both databases; every change told once."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from gda.job import Job
from gda.lifecycle import Claim, Status
from gda.novelty import Seen
from gda.store import ByHand, Scope, Waker, Wish, Worker
from gda.store.calendar_tables import seen_events
from tests.support.calendars import ics, vevent
from tests.support.diary import ADDRESS, KIND, Diary, a_diary, part

STANDUP = vevent("standup", "20260202T093000", "20260202T094500", "Stand-up", "RRULE:FREQ=DAILY")
TEA = vevent("tea", "20260312T160000", "20260312T170000", "Tea")
LUNCH = vevent("lunch", "20260311T120000", "20260311T130000", "Lunch", "LOCATION:The Crown")
TALK = vevent("talk", "20260312T163000", "20260312T173000", "Talk")


async def test_the_first_report_is_silent_about_what_was_there_and_the_next_tells_what_is_new(tmp_path, database_url):
    async with a_diary(tmp_path, database_url, STANDUP, TEA) as diary:
        first = await diary.asked()
        diary.add(LUNCH)
        second = await diary.next_day()
        third = await diary.next_day()
        told = diary.told()
        [settled, *_] = await diary.store.history.list()

    assert [first, second, third] == ["1 skipped", "1 done", "1 skipped"]
    assert told == [["New: Lunch | Wed 11 Mar, 12:00 to 13:00 | The Crown"]]
    assert (settled.status, settled.reason) == (Status.SKIPPED, "nothing new in your calendars")


async def test_what_was_made_on_the_day_before_the_first_report_is_new_in_it(tmp_path, database_url):
    async with a_diary(tmp_path, database_url, TEA) as diary:
        diary.add(LUNCH)
        assert await diary.asked() == "1 done"
        assert [each.partition(" |")[0] for each in diary.told()[0]] == ["New: Lunch"]


async def test_the_mail_says_what_moved_and_what_is_off_and_what_conflicts(tmp_path, database_url):
    async with a_diary(tmp_path, database_url, STANDUP, TEA, LUNCH) as diary:
        await diary.asked()
        [tea] = [key for key, item in own_items(diary).items() if item["summary"] == "Tea"]
        [lunch] = [key for key, item in own_items(diary).items() if item["summary"] == "Lunch"]
        diary.change(do="move", event=tea, minutes=15)
        diary.change(do="cancel", event=lunch)
        diary.add(TALK)
        diary.change(do="move", event=date_of(diary, "20260305"), minutes=60)
        diary.change(do="cancel", event=date_of(diary, "20260306"))
        await diary.next_day()
        [mail] = diary.mails()
        [rows] = diary.told()

    assert rows == [
        "New: Talk | Thu 12 Mar, 16:30 to 17:30 | Conflicts with Tea",
        "Moved: Stand-up | Thu 5 Mar, 10:30 to 10:45 | was Thu 5 Mar, 09:30 to 09:45",
        "Moved: Tea | Thu 12 Mar, 16:15 to 17:15 | was Thu 12 Mar, 16:00 to 17:00 | Conflicts with Talk",
        "Cancelled: Stand-up | Fri 6 Mar, 09:30 to 09:45",
        "Cancelled: Lunch | Wed 11 Mar, 12:00 to 13:00",
    ]
    assert mail.header("subject") == "Your calendar for Tuesday 3 March: 5 changes, 2 in conflict"
    plain = part(mail, "text/plain").replace("\r\n", "\n")
    assert "* Talk\n  Thu 12 Mar, 16:30 to 17:30\n  conflicts with Tea\n" in plain
    assert "CANCELLED (2)" in plain


async def test_days_and_floating_times_are_the_users_own(tmp_path, database_url):
    holiday = vevent("h", "20260310", "20260312", "Holiday")
    call = vevent("call", "20260309T230000Z", "20260309T233000Z", "Call")
    async with a_diary(tmp_path, database_url, timezone="Asia/Tokyo") as diary:
        await diary.asked()
        diary.add(holiday)
        diary.add(call)
        await diary.next_day()
        [rows] = diary.told()

    assert rows == [
        "New: Holiday | Tue 10 Mar to Wed 11 Mar, all day | Conflicts with Call",
        "New: Call | Tue 10 Mar, 08:00 to 08:30 | Conflicts with Holiday",
    ]


async def test_a_day_that_is_over_where_the_calendar_is_but_not_where_the_user_is_was_not_cancelled(
    tmp_path, database_url
):
    holiday = vevent("h", "20260303", "20260304", "Holiday")
    async with a_diary(tmp_path, database_url, holiday, timezone="Pacific/Honolulu") as diary:
        await diary.store.schedules.set(Wish("ada", KIND, "daily 15:30"))
        await diary.next_day()
        diary.clock.advance(hours=17)
        diary.fault("calendar_token_gone", times=1)
        report = await diary.asked()
        listings = diary.sandbox.requests["events.list"]

    assert diary.clock.instant == datetime(2026, 3, 4, 2, tzinfo=UTC)
    assert (report, listings) == ("1 skipped", 3)


async def test_a_series_over_the_change_of_clocks_is_no_news(tmp_path, database_url):
    async with a_diary(tmp_path, database_url, STANDUP) as diary:
        await diary.asked()
        reports = [await diary.next_day(7) for _ in range(5)]
        diary.fault("calendar_token_gone", times=1)
        reports.append(await diary.next_day(7))
        diary.change(do="move", event=date_of(diary, "20260420"), minutes=30)
        reports.append(await diary.next_day(1))
        told = diary.told()

    assert reports == ["1 skipped"] * 6 + ["1 done"]
    assert told == [["Moved: Stand-up | Mon 20 Apr, 10:00 to 10:15 | was Mon 20 Apr, 09:30 to 09:45"]]


async def test_a_whole_series_that_moves_is_one_line(tmp_path, database_url):
    choir = vevent("choir", "20260305T190000", "20260305T203000", "Choir", "RRULE:FREQ=WEEKLY;COUNT=6")
    async with a_diary(tmp_path, database_url) as diary:
        await diary.asked()
        key = diary.add(choir)
        await diary.next_day()
        diary.change(do="move", event=key, minutes=30)
        await diary.next_day()
        diary.change(do="cancel", event=key)
        await diary.next_day()
        told = diary.told()

    assert told == [
        ["New: Choir | Thu 5 Mar, 19:00 to 20:30 first of 6 dates"],
        ["Moved: Choir | Thu 5 Mar, 19:30 to 21:00 first of 5 dates | was Thu 5 Mar, 19:00 to 20:30"],
        ["Cancelled: Choir | Thu 5 Mar, 19:30 to 21:00 first of 6 dates"],
    ]


async def test_copies_of_an_event_in_several_calendars_are_one_change_and_no_conflict(tmp_path, database_url):
    family = {"family": ics(head=("X-WR-CALNAME:Family", "X-WR-TIMEZONE:Europe/London"))}
    async with a_diary(tmp_path, database_url, calendars=family) as diary:
        await diary.asked()
        diary.add(TEA)
        diary.add(TEA, calendar="family@group.calendar.sandbox")
        diary.add(TALK, calendar="family@group.calendar.sandbox")
        await diary.next_day()
        [rows] = diary.told()

    assert rows == [
        "New: Tea | Thu 12 Mar, 16:00 to 17:00 | Conflicts with Talk",
        "New: Talk | Thu 12 Mar, 16:30 to 17:30 | Conflicts with Tea | Family",
    ]


async def test_a_declined_invitation_is_no_news_until_it_is_accepted_and_conflicts(tmp_path, database_url):
    answer = f"ATTENDEE;PARTSTAT=DECLINED:mailto:{ADDRESS}"
    invited = vevent("party", "20260312T160000", "20260312T180000", "Party", answer)
    async with a_diary(tmp_path, database_url, TEA) as diary:
        await diary.asked()
        key = diary.add(invited)
        reports = [await diary.next_day()]
        diary.change(do="answer", event=key, status="accepted")
        reports.append(await diary.next_day())
        told = diary.told()

    assert reports == ["1 skipped", "1 done"]
    assert told == [["Now in conflict: Party | Thu 12 Mar, 16:00 to 18:00 | Conflicts with Tea"]]


async def test_a_token_that_is_gone_costs_a_whole_listing_and_tells_nothing_twice(tmp_path, database_url):
    async with a_diary(tmp_path, database_url, STANDUP, TEA) as diary:
        await diary.asked()
        diary.add(LUNCH)
        diary.change(do="cancel", event=date_of(diary, "20260309"))
        await diary.next_day()
        diary.add(TALK)
        diary.change(do="cancel", event=date_of(diary, "20260310"))
        diary.fault("calendar_token_gone", times=1)
        await diary.next_day()
        quiet = await diary.next_day()
        told = [[row.partition(" |")[0] for row in rows] for rows in diary.told()]

    assert told == [["New: Lunch", "Cancelled: Stand-up"], ["New: Talk", "Cancelled: Stand-up"]]
    assert quiet == "1 skipped"


async def test_what_happens_between_two_attempts_stands_in_the_next_report_only(tmp_path, database_url):
    async with a_diary(tmp_path, database_url, TEA) as diary:
        await diary.asked()
        diary.add(LUNCH)
        diary.fault("smtp_reject", code=451, times=1)
        refused = await diary.next_day()
        diary.add(TALK)
        diary.clock.advance(minutes=30)
        delivered = await diary.asked()
        await diary.next_day()
        told = [[row.partition(" |")[0] for row in rows] for rows in diary.told()]

    assert (refused, delivered) == ("1 retrying", "1 done")
    assert told == [["New: Lunch"], ["New: Talk"]]


async def test_a_report_that_dies_leaves_its_changes_to_the_next(tmp_path, database_url):
    async with a_diary(tmp_path, database_url, TEA) as diary:
        await diary.asked()
        diary.add(LUNCH)
        diary.fault("smtp_reject", code=550, times=1)
        dead = await diary.next_day()
        diary.add(TALK)
        await diary.next_day()
        told = [[row.partition(" |")[0] for row in rows] for rows in diary.told()]

    assert dead == "1 dead"
    assert told == [["New: Lunch", "New: Talk"]]


class PowerCut(Exception):
    """The process ends here."""


async def test_a_crash_between_send_and_confirmation_lists_nothing_twice(tmp_path, database_url, monkeypatch):
    async with a_diary(tmp_path, database_url, TEA) as diary:
        await diary.asked()
        diary.add(LUNCH)
        diary.clock.advance(days=1)

        async def end_here(*arguments: object) -> None:
            raise PowerCut

        with monkeypatch.context() as broken:
            broken.setattr(type(diary.store.seen_events), "confirm", end_here)
            claim = await perform_and_die(diary)
        diary.add(TALK)
        diary.clock.advance(minutes=10)
        recovered = await diary.drained()
        await diary.next_day()
        told = [[row.partition(" |")[0] for row in rows] for rows in diary.told()]
        story = await diary.store.history.story(claim.occurrence.id)

    assert recovered == "1 done"
    assert told == [["New: Lunch"], ["New: Talk"]]
    assert story.effects[0].provider_reference == "found in the mailbox"


async def perform_and_die(diary: Diary) -> Claim:
    """Perform the latest slot in a process that ends before it settles anything."""
    ledger = diary.store.ledger
    await ledger.promise_by_hand(Scope(KIND, user_id="ada"), ByHand(), Waker("hand"))
    [claim] = await ledger.claim(Scope(KIND), Worker("doomed"), limit=1)
    job = Job(claim, await ledger.start(claim), lambda: ledger.check(claim))
    with pytest.raises(PowerCut):
        await diary.desk.job_type.perform(job)
    return claim


async def test_a_mail_in_doubt_waits_and_is_found(tmp_path, database_url):
    async with a_diary(tmp_path, database_url, TEA, mail_settling_seconds=3600) as diary:
        await diary.asked()
        diary.add(LUNCH)
        diary.fault("accept_then_drop", times=1)
        diary.fault("index_delay", seconds=7200)
        doubtful = await diary.next_day()
        diary.sandbox.faults.clear()
        diary.clock.advance(minutes=30)
        found = await diary.asked()
        quiet = await diary.next_day()
        mails = diary.mails()

    assert (doubtful, found, quiet) == ("1 retrying", "1 done", "1 skipped")
    assert len(mails) == 1


async def test_an_extra_report_tells_of_the_last_day_and_leaves_the_scheduled_one_whole(tmp_path, database_url):
    async with a_diary(tmp_path, database_url, TEA) as diary:
        await diary.asked()
        diary.add(LUNCH)
        extra = await diary.asked(extra="now")
        scheduled = await diary.next_day()
        told = diary.told()

    assert (extra, scheduled) == ("1 done", "1 done")
    assert told[0] == told[1]


async def test_a_revoked_grant_holds_the_report(tmp_path, database_url):
    async with a_diary(tmp_path, database_url, TEA) as diary:
        diary.sandbox.set_revoked(diary.sandbox.accounts.all()[0], True)
        assert await diary.asked() == "1 held"


async def test_two_schedules_of_a_user_each_tell_every_change(tmp_path, database_url):
    async with a_diary(tmp_path, database_url, TEA) as diary:
        await diary.store.schedules.set(Wish("ada", KIND, "daily 08:45", name="second"))
        await diary.next_day()
        await diary.drained()
        diary.add(LUNCH)
        await diary.next_day()
        await diary.drained()
        told = [[row.partition(" |")[0] for row in rows] for rows in diary.told()]

    assert told == [["New: Lunch"], ["New: Lunch"]]


async def test_what_is_long_over_is_forgotten_and_a_removed_schedule_takes_its_memory_along(tmp_path, database_url):
    async with a_diary(tmp_path, database_url, STANDUP, TEA) as diary:
        await diary.asked()
        before = await remembered(diary)
        await diary.next_day(30)
        after = await remembered(diary)
        await diary.store.schedules.remove("ada", KIND, "default")

    assert before == ["Stand-up", "Tea"]
    assert after == ["Stand-up"]


async def remembered(diary: Diary) -> list[str]:
    """The titles of what is remembered."""
    async with diary.store.database.read() as connection:
        return sorted((await connection.execute(select(seen_events.c.title))).scalars())


def own_items(diary: Diary) -> dict[str, dict[str, object]]:
    """The items of Ada's own calendar."""
    [account] = diary.sandbox.accounts.all()
    return account.calendars[ADDRESS].items


def date_of(diary: Diary, day: str) -> str:
    """The id of the stand-up of a day."""
    [key] = [key for key, item in own_items(diary).items() if f"_{day}T" in key and item["summary"] == "Stand-up"]
    return key


def test_the_memory_survives_its_json() -> None:
    start = datetime(2026, 3, 5, 9, tzinfo=UTC)
    seen = Seen(
        "c", "s", "s@x", "Title", start, start + timedelta(hours=1), "busy", "s", ("2026-03-05T09:00:00+00:00",)
    )
    assert Seen.from_json(seen.to_json()) == seen
