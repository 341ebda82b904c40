"""The Calendar client against the sandbox: real HTTP, sync tokens, pages, series, days and clocks that change."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import stamina
from pydantic import SecretStr

from gda.errors import Gone, NeedsConsent, Transient
from gda.google.calendar import Calendar
from gda.google.http import open_http
from gda.sandbox import Sandbox
from gda.sandbox.accounts import Account
from gda.sandbox.dates import instant
from gda.sandbox.faults import Fault
from gda.sandbox.sources import sample_sets
from gda.settings import Settings
from tests.support.calendars import calendar_folder, ics, vevent
from tests.support.sandbox import running_sandbox

USER = "ada@example.org"
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
CHOIR = vevent("choir", "20260305T190000", "20260305T203000", "Choir", "RRULE:FREQ=WEEKLY;COUNT=8")
TEA = vevent("tea", "20260304T160000", "20260304T170000", "Tea")
HOLIDAY = vevent("holiday", "20260310", "20260312", "Holiday", "TRANSP:TRANSPARENT")


@dataclass(frozen=True)
class World:
    """A sandbox with one account, and a client of it."""

    sandbox: Sandbox
    account: Account
    http: httpx.AsyncClient
    settings: Settings
    url: str

    def calendar(self, page: int = 2500) -> Calendar:
        token = self.sandbox.accounts.issue_access_token(self.account, self.sandbox.now_ms)
        return Calendar(self.http, self.settings, SecretStr(token), page=page)

    def change(self, **values: Any) -> list[str]:
        return self.sandbox.change_calendar(self.account, values)


@asynccontextmanager
async def world(tmp_path: Path, *events: str, **more: str) -> AsyncIterator[World]:
    folder = calendar_folder(tmp_path / "ada", calendar=ics(*events), **more)
    async with running_sandbox(sandbox=Sandbox(clock=NOW.timestamp)) as server:
        settings = Settings(google_api_url=server.http, google_token_url=f"{server.http}/token")
        account = server.sandbox.open_account(USER, mail=str(folder))
        async with open_http(settings) as http:
            yield World(server.sandbox, account, http, settings, server.http)


@pytest.fixture(autouse=True)
def _no_pauses() -> Iterator[None]:
    """Keep the three tries, drop the pauses between them."""
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


async def test_the_calendars_that_a_user_shows_are_listed(tmp_path):
    async with world(tmp_path, TEA, family=ics(HOLIDAY, head=("X-WR-CALNAME:Family",))) as here:
        listed = await here.calendar().calendars()

    assert [(one.id, one.name, one.primary) for one in listed] == [
        (USER, USER, True),
        ("family@group.calendar.sandbox", "Family", False),
    ]


async def test_a_whole_listing_gives_single_events_dates_of_series_and_days(tmp_path):
    async with world(tmp_path, TEA, CHOIR, HOLIDAY) as here:
        synced = await here.calendar().sync(USER, None, since=NOW)

    tea, *choir, holiday = synced.events
    assert synced.whole
    assert (tea.title, tea.start, tea.end) == (
        "Tea",
        datetime(2026, 3, 4, 16, tzinfo=UTC),
        datetime(2026, 3, 4, 17, tzinfo=UTC),
    )
    assert (holiday.start, holiday.end, holiday.stance) == (date(2026, 3, 10), date(2026, 3, 12), "free")
    assert len(choir) == 8
    assert {each.base for each in choir} == {choir[0].series}
    assert len({each.id for each in choir}) == 8
    assert not any(each.is_exception for each in choir)
    # The clocks change on 29 March: seven in the evening stays seven in the evening.
    assert [each.start.hour for each in choir] == [19] * 8
    assert [each.start.astimezone(UTC).hour for each in choir] == [19] * 4 + [18] * 4


async def test_a_token_gives_what_changed_since_and_can_be_used_again(tmp_path):
    async with world(tmp_path, TEA, CHOIR) as here:
        calendar = here.calendar()
        first = await calendar.sync(USER, None, since=NOW)
        nothing = await calendar.sync(USER, first.token, since=NOW)
        here.change(do="move", event=first.events[2].id, minutes=60)
        here.change(do="cancel", event=first.events[3].id)
        here.change(do="answer", event=first.events[0].id, status="declined")
        changed = await calendar.sync(USER, first.token, since=NOW)
        again = await calendar.sync(USER, first.token, since=NOW)
        quiet = await calendar.sync(USER, changed.token, since=NOW)

    moved, cancelled, declined = changed.events
    assert (nothing.events, nothing.whole, quiet.events) == ((), False, ())
    assert again == changed
    assert moved.id == first.events[2].id
    assert moved.is_exception
    assert moved.start - moved.original == timedelta(hours=1)
    assert (cancelled.id, cancelled.cancelled, cancelled.base) == (first.events[3].id, True, moved.base)
    assert declined.stance == "declined"


async def test_a_series_that_moves_gets_new_dates_and_cancels_the_old(tmp_path):
    async with world(tmp_path, CHOIR) as here:
        calendar = here.calendar()
        first = await calendar.sync(USER, None, since=NOW)
        here.change(do="move", event=first.events[0].series, minutes=30)
        changed = await calendar.sync(USER, first.token, since=NOW)

    assert {each.id for each in changed.events if each.cancelled} == {each.id for each in first.events}
    assert [each.start.minute for each in changed.events if not each.cancelled] == [30] * 8
    assert not any(each.is_exception for each in changed.events if not each.cancelled)


async def test_a_token_that_is_gone_leads_to_a_whole_listing_in_the_same_call(tmp_path):
    async with world(tmp_path, TEA, CHOIR) as here:
        calendar = here.calendar()
        first = await calendar.sync(USER, None, since=NOW)
        here.change(do="cancel", event=first.events[0].id)
        here.sandbox.faults.switch_on(Fault("calendar_token_gone", times=1))
        whole = await calendar.sync(USER, first.token, since=NOW)
        after = await calendar.sync(USER, whole.token, since=NOW)
        strange = await calendar.sync(USER, "sync-999999", since=NOW)

    assert (whole.whole, after.whole, strange.whole) == (True, False, True)
    assert [each.cancelled for each in whole.events].count(True) == 1
    assert {each.id for each in whole.events} == {each.id for each in first.events}


@pytest.mark.parametrize("page", [1, 2, 3, 9])
async def test_pages_are_read_to_the_last_which_holds_the_token(tmp_path, page):
    async with world(tmp_path, TEA, CHOIR) as here:
        first = await here.calendar(page).sync(USER, None, since=NOW)
        asked = here.sandbox.requests["events.list"]
        for each in first.events[:4]:
            here.change(do="move", event=each.id, minutes=15)
        changed = await here.calendar(page).sync(USER, first.token, since=NOW)

    assert len(first.events) == 9
    assert asked == -(-9 // page)
    assert {each.id for each in changed.events} == {each.id for each in first.events[:4]}


async def test_what_changes_while_pages_are_read_comes_with_the_next_token(tmp_path):
    async with world(tmp_path, TEA, CHOIR) as here:
        calendar = here.calendar(page=2)
        pages = calendar._calls.pages(
            "events", f"/calendar/v3/calendars/{USER}/events", {"singleEvents": "true", "maxResults": 2}
        )
        seen = []
        async for page in pages:
            if not seen:
                here.change(do="move", event=page["items"][0]["id"], minutes=15)
            seen += [item["id"] for item in page["items"]]
            token = page.get("nextSyncToken")
        changed = await calendar.sync(USER, token, since=NOW)

    assert len(seen) == len(set(seen)) == 9
    assert [each.id for each in changed.events] == seen[:1]


async def test_what_is_over_is_left_out_of_a_whole_listing_and_an_agenda_has_what_overlaps(tmp_path):
    async with world(tmp_path, TEA, CHOIR, HOLIDAY) as here:
        calendar = here.calendar()
        later = await calendar.sync(USER, None, since=NOW + timedelta(days=7))
        start = datetime(2026, 3, 5, 20, tzinfo=UTC)
        agenda = await calendar.agenda(USER, start, start + timedelta(hours=1))
        touching = await calendar.agenda(USER, start + timedelta(minutes=30), start + timedelta(hours=1))

    assert [each.title for each in later.events] == ["Choir"] * 7 + ["Holiday"]
    assert [each.title for each in agenda] == ["Choir"]
    assert touching == ()


async def test_files_may_hold_exceptions_answers_folded_lines_and_alarms(tmp_path):
    excluded = "EXDATE;TZID=Europe/London:20260303T090000"
    alarm = ("BEGIN:VALARM", "SUMMARY:wrong", "END:VALARM")
    rule = "RRULE:FREQ=DAILY;UNTIL=20260306T235959Z"
    series = vevent("s", "20260302T090000", "20260302T093000", "Daily", rule, excluded, *alarm)
    other = vevent("s", "20260304T110000", "20260304T113000", "Daily\\, later", "RECURRENCE-ID:20260304T090000Z")
    answer = f'ATTENDEE;CN="A: b";PARTSTAT=DECLINED:mailto:{USER}'
    asked = vevent("q", "20260305T120000Z", "20260305T130000Z", "A long\r\n  line; here", answer)
    async with world(tmp_path, series, other, asked) as here:
        synced = await here.calendar().sync(USER, None, since=NOW)

    assert [(each.title, f"{each.start:%d %H}" if each.title else "") for each in synced.events] == [
        ("Daily", "02 09"),
        ("", ""),
        ("Daily, later", "04 11"),
        ("Daily", "05 09"),
        ("Daily", "06 09"),
        ("A long line; here", "05 12"),
    ]
    assert [each.is_exception for each in synced.events if not each.cancelled] == [False, True, False, False, False]
    assert synced.events[-1].stance == "declined"


async def test_a_calendar_that_is_gone_and_a_revoked_user_are_told_apart(tmp_path):
    async with world(tmp_path, TEA) as here:
        calendar = here.calendar()
        with pytest.raises(Gone):
            await calendar.sync("nobody@group.calendar.sandbox", None, since=NOW)
        here.sandbox.set_revoked(here.account, True)
        with pytest.raises(NeedsConsent):
            await calendar.calendars()


async def test_malformed_answers_are_asked_for_again_and_then_pass_for_a_passing_fault(tmp_path):
    async with world(tmp_path, TEA) as here:
        here.sandbox.faults.switch_on(Fault("malformed", endpoint="events.list", times=2))
        assert len((await here.calendar().sync(USER, None, since=NOW)).events) == 1
        here.sandbox.faults.switch_on(Fault("malformed", endpoint="calendarList.list"))
        with pytest.raises(Transient, match=r"calendarList\.list"):
            await here.calendar().calendars()


async def test_a_sync_token_goes_with_no_time(tmp_path):
    async with world(tmp_path, TEA) as here:
        query = {"singleEvents": "true", "syncToken": "sync-1", "timeMin": NOW.isoformat()}
        token = here.sandbox.accounts.issue_access_token(here.account, here.sandbox.now_ms)
        path = f"{here.url}/calendar/v3/calendars/primary/events"
        answer = await here.http.get(path, params=query, headers={"authorization": f"Bearer {token}"})

    assert answer.status_code == 400
    assert "timeMin" in answer.json()["error"]["message"]


async def test_calendars_are_changed_through_the_control_and_outlive_a_restart(tmp_path):
    async with running_sandbox(data=tmp_path / "kept") as server, httpx.AsyncClient(base_url=server.http) as http:
        server.sandbox.open_account(USER, mail=str(calendar_folder(tmp_path / "ada", calendar=ics(CHOIR))))
        added = await http.post("/_sandbox/events", json={"email": USER, "do": "add", "ics": ics(TEA)})
        [[tea]] = added.json()["events"]
        move = {"do": "move", "event": tea, "minutes": 5}
        moved = await http.post("/_sandbox/events", json={"email": USER, "changes": [move, move]})
        refused = await http.post("/_sandbox/events", json={"email": USER, "do": "cancel", "event": "none"})
        before = server.sandbox.accounts.all()[0].calendars
    after = Sandbox(data=tmp_path / "kept")
    after.close()

    assert moved.json() == {"events": [[tea], [tea]]}
    assert (refused.status_code, "no event 'none'" in refused.json()["error"]["message"]) == (400, True)
    assert before[USER].items[tea]["start"]["dateTime"].startswith("2026-03-04T16:10")
    assert after.accounts.all()[0].calendars == before


@pytest.mark.parametrize("name", [name for name in sample_sets() if name != "empty"])
def test_a_sample_calendar_is_about_the_days_to_come_whenever_it_is_loaded(name):
    for loaded in (NOW, datetime(2027, 11, 21, 23, tzinfo=UTC)):
        account = Sandbox(clock=loaded.timestamp).open_account(f"{name}@demo.example", samples=name)
        [calendar] = account.calendars.values()
        items = calendar.items.values()
        ahead = [item for item in items if "recurringEventId" not in item and instant(item["start"], "UTC") > loaded]

        assert calendar.timezone != "UTC"
        assert len(ahead) >= 3
        assert any("recurringEventId" in item for item in items)
