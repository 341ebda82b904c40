"""The due decision: which slots are promised, skipped or refused as a range, and when the next one is due."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gda.schedule import CatchUp, DueDecision, Policies, Promise, decide_due, parse, slots_between, spread_offset

EARLY = timedelta(seconds=90)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def decide(
    text: str, now: str, *, tz: str = "UTC", since: str, next_due_at: str | None = None, **given: Any
) -> DueDecision:
    policies = {
        name: given.pop(name) for name in ("catch_up", "catch_up_window", "expire_after", "spread") if name in given
    }
    return decide_due(
        parse(text, max_runs_per_day=None),
        tz,
        policies=Policies(**policies),
        active_from=utc(since),
        next_due_at=utc(next_due_at) if next_due_at else None,
        now=utc(now),
        early=EARLY,
        **given,
    )


def rows(decision: DueDecision) -> list[tuple[str, str, str]]:
    return [(promise.slot, promise.status, promise.reason) for promise in decision.promises]


def test_a_punctual_wake_up_promises_its_slot_and_names_the_next() -> None:
    decision = decide("daily 07:30", "2026-11-21T07:30:01", since="2026-11-20T12:00", next_due_at="2026-11-21T07:30")

    assert decision == DueDecision(
        (Promise("2026-11-21T07:30", utc("2026-11-21T07:30"), "scheduled"),), utc("2026-11-22T07:30")
    )


def test_a_wake_up_up_to_90_s_early_promises_the_slot_ahead() -> None:
    soon = decide("daily 07:30", "2026-11-21T07:28:30", since="2026-11-20T12:00")
    too_soon = decide("daily 07:30", "2026-11-21T07:28:29", since="2026-11-20T12:00")

    assert rows(soon) == [("2026-11-21T07:30", "scheduled", "")]
    assert too_soon == DueDecision((), utc("2026-11-21T07:30"))


def test_nothing_from_before_active_from_is_promised() -> None:
    fresh = decide("daily 07:30", "2026-11-21T08:00", since="2026-11-21T07:31")
    exact = decide("daily 07:30", "2026-11-21T08:00", since="2026-11-21T07:30")
    future = decide("daily 07:30", "2026-11-21T08:00", since="2027-01-01T12:00")

    assert fresh == DueDecision((), utc("2026-11-22T07:30"))
    assert rows(exact) == [("2026-11-21T07:30", "scheduled", "")]
    assert future == DueDecision((), utc("2027-01-02T07:30"))


def test_a_known_slot_is_not_promised_again_even_by_another_revision() -> None:
    known = {"2026-11-21T07:30", "2026-11-22T07:30"}
    decision = decide("daily 07:30", "2026-11-21T08:00", since="2026-11-20T12:00", known=known)

    assert decision == DueDecision((), utc("2026-11-23T07:30"))


def test_a_new_timezone_does_not_promise_a_name_that_the_old_one_kept() -> None:
    # The user flew from Tokyo to New York after the digest of the 21st: nine o'clock of the 21st comes twice.
    decision = decide(
        "daily 09:00", "2026-11-21T14:00", tz="America/New_York", since="2026-11-21T01:00", known={"2026-11-21T09:00"}
    )

    assert decision == DueDecision((), utc("2026-11-22T14:00"))


def test_latest_runs_the_newest_missed_slot_and_skips_the_others_by_name() -> None:
    decision = decide("@hourly", "2026-11-21T12:10", since="2026-11-21T09:30")

    assert rows(decision) == [
        ("2026-11-21T10:00", "skipped", "catch-up latest: superseded by 2026-11-21T12:00"),
        ("2026-11-21T11:00", "skipped", "catch-up latest: superseded by 2026-11-21T12:00"),
        ("2026-11-21T12:00", "scheduled", ""),
    ]
    assert decision.next_due_at == utc("2026-11-21T13:00")


def test_latest_does_not_run_an_older_slot_after_a_newer_one_that_has_a_row() -> None:
    decision = decide("@hourly", "2026-11-21T12:10", since="2026-11-21T10:30", known=["2026-11-21T12:00"])

    assert rows(decision) == [("2026-11-21T11:00", "skipped", "catch-up latest: superseded by 2026-11-21T12:00")]


def test_all_runs_every_missed_slot_inside_the_window() -> None:
    decision = decide("@hourly", "2026-11-21T12:10", since="2026-11-21T09:30", catch_up=CatchUp.ALL)

    assert [row[:2] for row in rows(decision)] == [(f"2026-11-21T{hour}:00", "scheduled") for hour in (10, 11, 12)]


def test_none_skips_what_was_missed_by_more_than_five_minutes() -> None:
    on_time = decide("@hourly", "2026-11-21T12:05", since="2026-11-21T11:30", catch_up=CatchUp.NONE)
    missed = decide("@hourly", "2026-11-21T12:05:01", since="2026-11-21T11:30", catch_up=CatchUp.NONE)

    assert rows(on_time) == [("2026-11-21T12:00", "scheduled", "")]
    assert rows(missed) == [("2026-11-21T12:00", "skipped", "catch-up none: missed by 5 min")]


@pytest.mark.parametrize("catch_up", list(CatchUp))
def test_a_slot_still_ahead_is_scheduled_under_every_policy(catch_up: CatchUp) -> None:
    decision = decide("*/15 * * * *", "2026-11-21T11:59", since="2026-11-21T11:50", catch_up=catch_up)

    assert rows(decision) == [("2026-11-21T12:00", "scheduled", "")]


def test_slots_older_than_the_window_are_refused_as_one_row() -> None:
    decision = decide("@hourly", "2026-11-21T12:10", since="2026-11-18T00:00", catch_up_window=timedelta(hours=2))

    assert rows(decision) == [
        (
            "2026-11-21T10:00",
            "skipped",
            "missed, and older than the catch-up window of 2 h: 2026-11-18T00:00 .. 2026-11-21T10:00, 83 slots",
        ),
        ("2026-11-21T11:00", "skipped", "catch-up latest: superseded by 2026-11-21T12:00"),
        ("2026-11-21T12:00", "scheduled", ""),
    ]


def test_a_range_names_and_counts_only_slots_without_a_row() -> None:
    known = ["2026-11-16T07:30", "2026-11-18T07:30", "2026-11-20T07:30", "extra:42", "2026-11-18T08:00"]
    decision = decide("daily 07:30", "2026-11-21T12:00", since="2026-11-16T00:00", known=known)

    reason = "missed, and older than the catch-up window of 12 h: 2026-11-17T07:30 .. 2026-11-19T07:30, 2 slots"
    assert rows(decision) == [("2026-11-19T07:30", "skipped", reason), ("2026-11-21T07:30", "scheduled", "")]


def test_one_slot_older_than_the_window_needs_no_range() -> None:
    decision = decide("daily 07:30", "2026-11-21T20:00", since="2026-11-21T00:00")

    assert rows(decision) == [
        ("2026-11-21T07:30", "skipped", "missed, and older than the catch-up window of 12 h"),
    ]
    assert decision.next_due_at == utc("2026-11-22T07:30")


def test_a_rare_schedule_with_a_wide_window_still_runs_its_latest_slot() -> None:
    years = timedelta(days=3650)
    decision = decide("0 9 29 2 *", "2026-11-21T12:00", since="2019-01-01T00:00", catch_up_window=years)

    assert rows(decision) == [
        ("2020-02-29T09:00", "skipped", "catch-up latest: superseded by 2024-02-29T09:00"),
        ("2024-02-29T09:00", "scheduled", ""),
    ]
    assert decision.next_due_at == utc("2028-02-29T09:00")


def test_a_window_of_nothing_still_allows_for_an_ordinary_delay() -> None:
    decision = decide("daily 07:30", "2026-11-21T07:32", since="2026-11-21T00:00", catch_up_window=timedelta(0))

    assert rows(decision) == [("2026-11-21T07:30", "scheduled", "")]


def test_what_is_past_its_worth_is_expired() -> None:
    decision = decide("daily 07:30", "2026-11-21T09:31", since="2026-11-21T00:00", expire_after=timedelta(hours=2))

    assert rows(decision) == [("2026-11-21T07:30", "skipped", "expired: older than 2 h")]


def test_a_merged_slot_is_skipped_and_says_into_which() -> None:
    decision = decide("0 2,3 * * *", "2026-03-08T07:00:05", tz="America/New_York", since="2026-03-08T00:00")

    assert rows(decision) == [
        ("2026-03-08T02:00", "skipped", "merged into 2026-03-08T03:00"),
        ("2026-03-08T03:00", "scheduled", ""),
    ]
    assert decision.promises[0].note == "gap"


def test_a_schedule_that_is_over_has_no_next() -> None:
    decision = decide("once 2026-12-24T18:00", "2026-12-24T18:00:30", since="2026-12-01T00:00")

    assert rows(decision) == [("2026-12-24T18:00", "scheduled", "")]
    assert decision.next_due_at is None


def test_spread_delays_the_work_but_neither_slot_nor_due_time() -> None:
    given: dict[str, Any] = {"since": "2026-11-21T00:00", "spread": timedelta(minutes=30)}
    first, again, other = (
        decide("daily 07:30", "2026-11-21T07:30", spread_key=key, **given) for key in ("u1", "u1", "u2")
    )

    promise = first.promises[0]
    assert promise.due_at == utc("2026-11-21T07:30")
    assert promise.not_before == promise.due_at + spread_offset("u1", timedelta(minutes=30))
    assert first == again != other


def test_spread_offsets_fill_the_width_evenly_and_never_reach_its_end() -> None:
    offsets = [spread_offset(f"user-{n}", timedelta(minutes=10)) for n in range(3000)]

    assert timedelta(0) <= min(offsets) < max(offsets) < timedelta(minutes=10)
    tenths = [sum(minute <= offset.total_seconds() / 60 < minute + 1 for offset in offsets) for minute in range(10)]
    assert min(tenths) > 200
    assert spread_offset("anybody", timedelta(0)) == timedelta(0)


@pytest.mark.parametrize("text", ["* * * * *", "every minute", "every 1 minute", "daily 07:30", "0 9 29 2 *"])
@pytest.mark.parametrize("catch_up", list(CatchUp))
@pytest.mark.parametrize("window", [timedelta(hours=12), timedelta(days=3650)])
def test_years_of_absence_cost_a_bounded_number_of_rows(text: str, catch_up: CatchUp, window: timedelta) -> None:
    decision = decide(text, "2026-11-21T12:00", since="2019-01-01T00:00", catch_up=catch_up, catch_up_window=window)

    assert 1 <= len(decision.promises) <= 2100
    assert len({promise.slot for promise in decision.promises}) == len(decision.promises)


@pytest.mark.parametrize(
    ("tz", "start"),
    [
        ("UTC", "2026-05-01T00:00"),
        ("America/New_York", "2026-03-07T12:00"),
        ("America/New_York", "2026-03-08T00:01"),  # the 500th slot is one that is merged into the 501st
    ],
)
def test_catching_up_all_goes_on_at_the_next_wake_up_until_nothing_is_missing(tz: str, start: str) -> None:
    end = utc(start) + timedelta(hours=30)
    promised: list[Promise] = []
    next_due_at: datetime | None = None
    for _ in range(10):
        decision = decide_due(
            parse("* * * * *", max_runs_per_day=None),
            tz,
            policies=Policies(catch_up=CatchUp.ALL, catch_up_window=timedelta(days=9)),
            active_from=utc(start),
            next_due_at=next_due_at,
            now=end,
            early=timedelta(0),
        )
        promised += decision.promises
        next_due_at = decision.next_due_at
        assert next_due_at is not None
        if next_due_at > end:
            break

    tick = timedelta(microseconds=1)
    expected = slots_between(parse("* * * * *", max_runs_per_day=None), tz, utc(start) - tick, end)
    assert [promise.slot for promise in promised] == [slot.slot for slot in expected]


def test_wake_ups_at_any_rhythm_promise_every_slot_exactly_once() -> None:
    for minutes in (1, 7, 60, 190):
        names: list[str] = []
        now, next_due_at = utc("2026-03-07T12:00"), utc("2026-03-07T12:00")
        while now < utc("2026-03-09T12:00"):
            decision = decide_due(
                parse("30 */2 * * *"),
                "America/New_York",
                policies=Policies(catch_up=CatchUp.ALL),
                active_from=utc("2026-03-07T12:00"),
                next_due_at=next_due_at,
                now=now,
                early=EARLY,
            )
            names += [promise.slot for promise in decision.promises]
            assert decision.next_due_at is not None
            next_due_at = decision.next_due_at
            now += timedelta(minutes=minutes)
        expected = slots_between(
            parse("30 */2 * * *"), "America/New_York", utc("2026-03-07T12:00"), now - timedelta(minutes=minutes) + EARLY
        )
        assert names == [slot.slot for slot in expected]
