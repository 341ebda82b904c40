"""Which changes of a calendar are news, as tables of small cases; each is judged a second time and must be silent."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gda.novelty import Change, Event, Listing, Seen, Verdict, agenda_span, decide, instant_of, with_conflicts
from gda.schedule import zone

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LONDON = "Europe/London"
HOUR = timedelta(hours=1)


def at(day: int, hour: int = 9, *, month: int = 3, tz: ZoneInfo | None = None) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=tz or zone(LONDON))


def wall(text: str) -> datetime:
    """A floating time."""
    return datetime.fromisoformat(text)


def event(id: str = "e1", start: Any = None, **changes: Any) -> Event:
    start = at(5) if start is None else start
    values = {"calendar": "c", "id": id, "uid": f"{id}@x", "title": f"Title {id}", "start": start, "end": start + HOUR}
    return Event(**values | changes)


def weekly(number: int, **changes: Any) -> Event:
    """A date of a series on Thursdays at nine, London's wall time; the clocks change between the 4th and the 5th."""
    start = at(5) + timedelta(weeks=number)
    values = {"series": "s", "original": start, "uid": "s@x", "title": "Choir", **changes}
    return event(f"s_{number}", values.pop("start", start), **values)


def gone(one: Event) -> Event:
    return replace(one, cancelled=True, title="")


def remembered(*events: Event, timezone: str = LONDON) -> dict[str, Seen]:
    verdict = decide(Listing("c", events, whole=True), {}, now=NOW, timezone=timezone, told_since=NOW)
    return {seen.id: seen for seen in verdict.remember}


def judged(
    seen: dict[str, Seen], *events: Event, whole: bool = False, now: datetime = NOW, timezone: str = LONDON
) -> list[str]:
    """What is told, as short texts; and nothing is told when the same is listed again."""
    listing = Listing("c", events, whole=whole)
    verdict = decide(listing, seen, now=now, timezone=timezone)
    again = decide(listing, applied(seen, verdict), now=now, timezone=timezone)
    assert again.changes == ()
    assert applied(applied(seen, verdict), again) == applied(seen, verdict)
    return [said(change) for change in verdict.changes]


def applied(seen: dict[str, Seen], verdict: Verdict) -> dict[str, Seen]:
    kept = {key: value for key, value in seen.items() if key not in verdict.forget}
    return kept | {each.id: each for each in verdict.remember}


def said(change: Change) -> str:
    was = f" from {change.was[0]:%d %H:%M}" if change.was else ""
    times = f" x{change.count}" if change.count > 1 else ""
    return f"{change.kind} {change.title} {change.start:%d %H:%M}{was}{times}"


ONE = event()
ALL_DAY = event("d", date(2026, 3, 9), end=date(2026, 3, 10))
FLOATING = event("f", wall("2026-03-09T09:00"), end=wall("2026-03-09T10:00"))


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ([], [ONE], ["new Title e1 05 09:00"]),
        ([], [gone(ONE)], []),
        ([], [replace(ONE, stance="declined")], []),
        ([], [replace(ONE, stance="free")], ["new Title e1 05 09:00"]),
        ([], [event(start=at(1))], []),
        ([], [ALL_DAY], ["new Title d 09 00:00"]),
        ([], [FLOATING], ["new Title f 09 09:00"]),
        ([ONE], [ONE], []),
        ([ONE], [replace(ONE, title="Another", location="Elsewhere")], []),
        ([ONE], [replace(ONE, start=at(6), end=at(6, 10))], ["moved Title e1 06 09:00 from 05 09:00"]),
        ([ONE], [replace(ONE, end=at(5, 11))], ["moved Title e1 05 09:00 from 05 09:00"]),
        (
            [ONE],
            [replace(ONE, start=date(2026, 3, 5), end=date(2026, 3, 6))],
            ["moved Title e1 05 00:00 from 05 09:00"],
        ),
        ([ONE], [replace(ONE, start=ONE.start.astimezone(UTC))], []),
        ([ONE], [gone(ONE)], ["cancelled Title e1 05 09:00"]),
        ([ONE], [replace(ONE, stance="declined")], []),
        ([replace(ONE, stance="declined")], [gone(ONE)], []),
        ([replace(ONE, stance="declined")], [ONE], ["conflicting Title e1 05 09:00"]),
        ([replace(ONE, stance="free")], [ONE], ["conflicting Title e1 05 09:00"]),
        ([event(start=at(2, 5))], [event(start=at(2, 4))], []),
        ([event(start=at(2, 5))], [event(start=at(7))], ["moved Title e1 07 09:00 from 02 05:00"]),
        ([event(start=at(2, 5))], [gone(event(start=at(2, 5)))], []),
        ([ALL_DAY], [gone(ALL_DAY)], ["cancelled Title d 09 00:00"]),
    ],
)
def test_single_events(before: list[Event], now: list[Event], told: list[str]) -> None:
    assert judged(remembered(*before), *now) == told


SERIES = [weekly(number) for number in range(10)]
LATER = [
    replace(one, id=f"{one.id}b", start=one.start + HOUR, end=one.end + HOUR, original=one.start + HOUR)
    for one in SERIES
]


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ([], SERIES, ["new Choir 05 09:00 x10"]),
        ([], [weekly(3, start=at(27))], ["new Choir 27 09:00"]),
        ([], [*SERIES[1:], replace(SERIES[0], start=at(6), end=at(6, 10))], ["new Choir 12 09:00 x9"]),
        ([], [gone(one) for one in SERIES], []),
        (SERIES, SERIES, []),
        (SERIES, [SERIES[2]], []),
        (SERIES, [weekly(10), weekly(11)], []),
        (SERIES, [replace(SERIES[2], start=at(20), end=at(20, 10))], ["moved Choir 20 09:00 from 19 09:00"]),
        (SERIES, [replace(SERIES[2], end=at(19, 12))], ["moved Choir 19 09:00 from 19 09:00"]),
        (SERIES, [gone(SERIES[2])], ["cancelled Choir 19 09:00"]),
        (SERIES, [gone(SERIES[2]), gone(SERIES[3])], ["cancelled Choir 19 09:00 x2"]),
        (SERIES, [gone(one) for one in SERIES], ["cancelled Choir 05 09:00 x10"]),
        (SERIES, [*map(gone, SERIES), *LATER], ["moved Choir 05 10:00 from 05 09:00 x9"]),
        (
            SERIES,
            [*map(gone, SERIES[4:]), *(replace(one, series="s_R20260402T080000") for one in LATER[4:])],
            ["moved Choir 02 10:00 from 02 08:00 x5"],
        ),
        (SERIES[:1], [gone(SERIES[0]), LATER[0]], ["moved Choir 05 10:00 from 05 09:00"]),
        (SERIES, [replace(one, end=one.end + HOUR) for one in SERIES], ["moved Choir 05 09:00 from 05 09:00 x10"]),
        ([event("s")], SERIES[:3], []),
    ],
)
def test_series(before: list[Event], now: list[Event], told: list[str]) -> None:
    assert judged(remembered(*before), *now) == told


def test_an_exception_is_told_each_time_it_moves_and_when_it_goes() -> None:
    seen = remembered(*SERIES)
    friday = replace(SERIES[2], start=at(20), end=at(20, 10))
    monday = replace(SERIES[2], start=at(23), end=at(23, 10))
    told = []
    for step in (friday, monday, SERIES[2], gone(SERIES[2])):
        told += judged(seen, step)
        seen = applied(seen, decide(Listing("c", (step,), whole=False), seen, now=NOW, timezone=LONDON))

    assert told == [
        "moved Choir 20 09:00 from 19 09:00",
        "moved Choir 23 09:00 from 20 09:00",
        "moved Choir 19 09:00 from 23 09:00",
        "cancelled Choir 19 09:00",
    ]


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ([ONE, ALL_DAY], [ONE], ["cancelled Title d 09 00:00"]),
        ([ONE], [ONE, ALL_DAY], ["new Title d 09 00:00"]),
        ([event(start=at(1))], [], []),
        (SERIES, [*SERIES[:4], *SERIES[5:]], ["cancelled Choir 02 08:00"]),
        (SERIES, [*SERIES[:4], gone(SERIES[4]), *SERIES[5:], weekly(10)], ["cancelled Choir 02 08:00"]),
        (SERIES, [], ["cancelled Choir 05 09:00 x10"]),
        (SERIES, LATER, ["moved Choir 05 10:00 from 05 09:00 x9"]),
        ([*SERIES[1:], replace(SERIES[0], start=at(6), end=at(6, 10))], SERIES[1:], ["cancelled Choir 06 09:00"]),
        ([*SERIES[1:], replace(SERIES[0], start=at(1), end=at(1, 10))], SERIES[1:], []),
    ],
)
def test_a_whole_listing_tells_of_what_is_absent(before: list[Event], now: list[Event], told: list[str]) -> None:
    assert judged(remembered(*before), *now, whole=True) == told


def test_a_calendar_that_is_listed_first_tells_only_of_what_was_made_since() -> None:
    old, fresh = event("old", created=NOW - timedelta(days=9)), event("fresh", created=NOW)
    choir = [replace(one, created=NOW - HOUR) for one in SERIES]
    verdict = decide(
        Listing("c", (old, fresh, *choir), whole=True), {}, now=NOW, timezone=LONDON, told_since=NOW - 2 * HOUR
    )

    assert [said(change) for change in verdict.changes] == ["new Title fresh 05 09:00", "new Choir 05 09:00 x10"]
    assert {seen.id for seen in verdict.remember} == {"old", "fresh", "s"}


def test_the_dates_of_a_series_are_as_long_on_the_night_in_which_clocks_change() -> None:
    nights = [
        replace(weekly(0), id=f"n{day}", start=at(day, 22), end=at(day + 1, 6), original=at(day, 22))
        for day in range(25, 31)
    ]

    assert judged(remembered(*nights[:3]), *nights[3:]) == []
    assert judged(remembered(*nights), *nights) == []


@pytest.mark.parametrize(
    ("timezone", "day", "hours"),
    [(LONDON, date(2026, 3, 29), 23), (LONDON, date(2026, 10, 25), 25), ("Asia/Kolkata", date(2026, 3, 29), 24)],
)
def test_a_day_is_the_users_own(timezone: str, day: date, hours: int) -> None:
    start, end = instant_of(day, timezone), instant_of(day + timedelta(days=1), timezone)

    assert (end - start) / HOUR == hours
    assert start.astimezone(zone(timezone)).hour == 0


def test_a_floating_time_is_on_the_users_own_wall() -> None:
    assert instant_of(FLOATING.start, "Asia/Tokyo") == datetime(2026, 3, 9, 0, 0, tzinfo=UTC)
    assert instant_of(FLOATING.start, LONDON) == datetime(2026, 3, 9, 9, 0, tzinfo=UTC)
    # It does not exist in New York; half past three does.
    assert instant_of(wall("2026-03-08T02:30"), "America/New_York") == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)


def conflicts(news: Event, *others: Event, timezone: str = LONDON) -> list[tuple[str, ...]]:
    changes = decide(Listing("c", (news,), whole=False), {}, now=NOW, timezone=timezone).changes
    return [each.conflicts for each in with_conflicts(changes, (news, *others), now=NOW, timezone=timezone)]


@pytest.mark.parametrize(
    ("news", "other", "found"),
    [
        (ONE, event("o", at(5)), ("Title o",)),
        (ONE, event("o", at(5) + HOUR / 2), ("Title o",)),
        (ONE, event("o", at(5, 10)), ()),
        (ONE, event("o", at(5, 8)), ()),
        (ONE, event("o", at(5), stance="free"), ()),
        (ONE, event("o", at(5), stance="declined"), ()),
        (ONE, event("o", at(5), cancelled=True), ()),
        (replace(ONE, stance="free"), event("o", at(5)), ()),
        (ONE, event("copy", at(5), uid=ONE.uid, calendar="shared"), ()),
        (ONE, event("o", date(2026, 3, 5), end=date(2026, 3, 6)), ("Title o",)),
        (ONE, event("o", date(2026, 3, 4), end=date(2026, 3, 5)), ()),
        (ONE, event("o", wall("2026-03-05T09:00"), end=wall("2026-03-05T09:30")), ("Title o",)),
        (event(start=at(25, month=6)), event("o", at(25, month=6)), ()),
    ],
)
def test_conflicts(news: Event, other: Event, found: tuple[str, ...]) -> None:
    assert conflicts(news, other) == [found]


def test_an_all_day_event_conflicts_on_the_users_day_and_not_on_that_of_others() -> None:
    late_in_tokyo = event("o", datetime(2026, 3, 8, 16, tzinfo=UTC))

    assert conflicts(replace(ALL_DAY), late_in_tokyo, timezone="Asia/Tokyo") == [("Title o",)]
    assert conflicts(replace(ALL_DAY), late_in_tokyo, timezone=LONDON) == [()]


def test_what_became_busy_is_told_only_if_it_conflicts() -> None:
    seen = remembered(replace(ONE, stance="free"))
    changes = decide(Listing("c", (ONE,), whole=False), seen, now=NOW, timezone=LONDON).changes

    assert with_conflicts(changes, (ONE,), now=NOW, timezone=LONDON) == ()
    [told] = with_conflicts(changes, (ONE, event("o", at(5))), now=NOW, timezone=LONDON)
    assert (told.kind, told.conflicts) == ("conflicting", ("Title o",))


def test_the_agenda_is_read_from_the_first_to_the_last_of_what_may_conflict() -> None:
    listed = (ONE, event("far", at(9, month=9)), event("free", at(20), stance="free"), event("next", at(9)))
    changes = decide(Listing("c", listed, whole=False), {}, now=NOW, timezone=LONDON).changes

    assert agenda_span(changes, now=NOW, timezone=LONDON) == (at(5), at(9, 10))
    assert agenda_span((), now=NOW, timezone=LONDON) is None


def test_fingerprints_tell_states_apart_and_nothing_else() -> None:
    states = [Seen.of(ONE), Seen.of(replace(ONE, end=at(5, 12))), Seen.of(replace(ONE, stance="free"))]
    assert len({state.fingerprint for state in states}) == 3
    assert Seen.of(replace(ONE, title="Another", start=ONE.start.astimezone(UTC))).fingerprint == states[0].fingerprint
    assert states[0].fingerprint == "71a2b0712ae7d688"


def test_a_change_survives_its_json() -> None:
    changes = decide(Listing("c", (ONE, ALL_DAY, FLOATING), whole=False), {}, now=NOW, timezone=LONDON).changes
    moved = replace(changes[0], was=(at(4), at(4, 10)), conflicts=("A", "B"))

    assert [Change.from_json(each.to_json()) for each in (*changes, moved)] == [*changes, moved]
