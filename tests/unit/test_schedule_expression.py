"""The schedule language: what it accepts, what it refuses and how it prints."""

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gda.errors import InvalidSchedule
from gda.schedule import Cron, Every, Once, parse

ACCEPTED = [
    # text, canonical text, cron lines for Prefect, runs a day
    ("daily 07:30", "daily 07:30", ("30 7 * * *",), 1),
    ("  DAILY   7:30 ", "daily 07:30", ("30 7 * * *",), 1),
    ("30 7 * * *", "daily 07:30", ("30 7 * * *",), 1),
    ("weekdays 07:30", "weekdays 07:30", ("30 7 * * 1-5",), 1),
    ("30 7 * * MON-FRI", "weekdays 07:30", ("30 7 * * 1-5",), 1),
    ("weekly thu,mon 07:30", "weekly mon,thu 07:30", ("30 7 * * 1,4",), 1),
    ("weekly mon-wed,sun 07:30", "weekly mon,tue,wed,sun 07:30", ("30 7 * * 0-3",), 1),
    ("0 9 * * 7", "weekly sun 09:00", ("0 9 * * 0",), 1),
    ("0 9 * * 5-7", "weekly fri,sat,sun 09:00", ("0 9 * * 0,5,6",), 1),
    ("monthly 1 09:00", "monthly 1 09:00", ("0 9 1 * *",), 1),
    ("monthly last 09:00", "monthly last 09:00", ("0 9 L * *",), 1),
    ("0 9 L * *", "monthly last 09:00", ("0 9 L * *",), 1),
    ("every 15 minutes", "every 15 minutes", ("*/15 * * * *",), 96),
    ("every 60 minutes", "every hour", ("0 * * * *",), 24),
    ("every 2 hours", "every 2 hours", ("0 */2 * * *",), 12),
    ("every 24 hours", "every 24 hours", ("0 0 * * *",), 1),
    ("every 90 minutes", "every 90 minutes", (), 16),
    ("every 36 hours", "every 36 hours", (), 1),
    ("once 2026-12-24T18:00", "once 2026-12-24T18:00", (), 1),
    ("once 2026-12-24 18:00", "once 2026-12-24T18:00", (), 1),
    ("@hourly", "0 * * * *", ("0 * * * *",), 24),
    ("@daily", "daily 00:00", ("0 0 * * *",), 1),
    ("@weekly", "weekly sun 00:00", ("0 0 * * 0",), 1),
    ("@monthly", "monthly 1 00:00", ("0 0 1 * *",), 1),
    ("@yearly", "0 0 1 1 *", ("0 0 1 1 *",), 1),
    ("0 9-9 * * fri-fri", "weekly fri 09:00", ("0 9 * * 5",), 1),
    ("5/15 8 * * *", "5,20,35,50 8 * * *", ("5,20,35,50 8 * * *",), 4),
    ("0 8-18/2 * * *", "0 8-18/2 * * *", ("0 8-18/2 * * *",), 6),
    ("0 9 * jan,jul *", "0 9 * 1,7 *", ("0 9 * 1,7 *",), 1),
    ("0 9 * * 1#2", "0 9 * * 1#2", ("0 9 * * 1#2",), 1),
    ("0 9 * * FRI#5", "0 9 * * 5#5", ("0 9 * * 5#5",), 1),
    ("0 9 * * 5L", "0 9 * * L5", ("0 9 * * L5",), 1),
    ("0 9 * * Lfri", "0 9 * * L5", ("0 9 * * L5",), 1),
    ("0 9 13 * 5 any", "0 9 13 * 5 any", ("0 9 13 * 5",), 1),
    ("0 9 13 * 5 all", "0 9 13 * 5 all", ("0 9 13 * 5",), 1),
    ("0 9 1-31 * 5 any", "daily 09:00", ("0 9 * * *",), 1),
    ("0 9 1-31 * 5 all", "weekly fri 09:00", ("0 9 * * 5",), 1),
    # Prefect loses 1 March where 1 stands with 30 or 31.
    ("monthly 1,31 09:00", "monthly 1,31 09:00", ("0 9 1 * *", "0 9 31 * *"), 1),
    ("0 9 1,15,30 * *", "monthly 1,15,30 09:00", ("0 9 1 * *", "0 9 15,30 * *"), 1),
    ("0 9 */10 * *", "monthly 1,11,21,31 09:00", ("0 9 1 * *", "0 9 11,21,31 * *"), 1),
    ("0 9 1,31 * 5 any", "0 9 1,31 * 5 any", ("0 9 1 * *", "0 9 31 * 5"), 1),
    ("0 9 1,31 * 5 all", "0 9 1,31 * 5 all", ("0 9 1 * 5", "0 9 31 * 5"), 1),
    ("0 9 1-31 * *", "daily 09:00", ("0 9 * * *",), 1),
    # A day that no named month has is left out: Prefect finds no date for a line of its own and fails on every pass.
    ("0 9 1,31 2 *", "0 9 1 2 *", ("0 9 1 2 *",), 1),
    ("0 9 1,31 4,6 5 any", "0 9 1 4,6 5 any", ("0 9 1 4,6 5",), 1),
    ("0 9 29-31 2 *", "0 9 29 2 *", ("0 9 29 2 *",), 1),
    # An open step over weekdays ends on Saturday.
    ("0 9 * * 3/2", "weekly wed,fri 09:00", ("0 9 * * 3,5",), 1),
    ("0 9 * * 1/6", "weekly mon 09:00", ("0 9 * * 1",), 1),
    ("0 9 * * 7/1", "weekly sun 09:00", ("0 9 * * 0",), 1),
]


@pytest.mark.parametrize(("text", "canonical", "crons", "runs"), ACCEPTED)
def test_an_accepted_text_has_one_canonical_form(text: str, canonical: str, crons: tuple[str, ...], runs: int) -> None:
    expression = parse(text)

    assert (str(expression), expression.crons, expression.runs_per_day) == (canonical, crons, runs)
    assert parse(canonical) == expression


REFUSED = [
    # text, and the fragments that the message must hold: the rule and what to write instead
    ("", "empty", "daily 07:30"),
    ("R 9 * * *", "random", "fixed"),
    ("R(0-30) 9 * * *", "random", "fixed"),
    ("R/15 9 * * *", "random", "fixed"),
    ("H 9 * * *", "Jenkins", "fixed"),
    ("H(0-7) 9 * * *", "Jenkins", "fixed"),
    ("0 9 ? * 1", "Quartz", "write '*'"),
    ("0 9 15W * *", "nearest weekday", "weekdays 09:00"),
    ("0 9 LW * *", "nearest weekday", "weekdays 09:00"),
    ("@reboot", "restart", "daily 07:30"),
    ("@annually", "@yearly", "write"),
    ("@every 5m", "every 15 minutes", "write"),
    ("@fortnightly", "not one of", "@daily"),
    ("0 9 * * FRI-MON", "backwards", "fri-sat,sun-mon"),
    ("0 22-2 * * *", "backwards", "22-23,0-2"),
    ("0 9 * nov-feb *", "backwards", "nov-dec,jan-feb"),
    ("0 9 30 2 *", "never comes", "'L'"),
    ("0 9 31 4,6,9,11 *", "never comes", "'L'"),
    ("0 9 31 6 0 any", "never comes", "'L'"),
    ("0 0 9 * * *", "six fields", "'0 9 * * *'"),
    ("0 0 9 * * * 2027", "seven fields", "once"),
    ("0 9 * *", "4 fields", "30 7 * * 1-5"),
    ("0 9 13 * 5", "both set", "'any' or 'all'"),
    ("0 9 */2 * 5", "both set", "'any' or 'all'"),
    ("0 9 * * 5 any", "both", "leave it out"),
    ("0 9 15 * 1#2 any", "stand alone", "two schedules"),
    ("0 9 L * 5 all", "stand alone", "two schedules"),
    ("0 9 1,L * *", "stand alone", "0 9 L * *"),
    ("0 9 * * 1#2,3", "stand alone", "1#2"),
    ("0 9 * * 1#6", "at most five", "1#1 to 1#5"),
    ("*/10 * * * *", "144 runs a day", "every 15 minutes"),
    ("every 5 minutes", "288 runs a day", "every 15 minutes"),
    ("*/70 * * * *", "larger than the 60", "'0'"),
    ("0 */25 * * *", "larger than the 24", "'0'"),
    ("0 8-10/4 * * *", "larger than the 3", "'8'"),
    ("0 9 * * 7/2", "larger than the 1", "'7'"),
    ("*/0 9 * * *", "no usable step", "*/2"),
    ("0/ 9 * * *", "no usable step", "0/2"),
    ("0 24 * * *", "outside hour", "0 to 23"),
    ("60 9 * * *", "outside minute", "0 to 59"),
    ("0 9 0 * *", "outside day-of-month", "1 to 31"),
    ("0 9 -1 * *", "no day-of-month", "1 to 31"),
    ("0 9 * * monday", "three letters", "'mon'"),
    ("0 9 * january *", "three letters", "'jan'"),
    ("0,,5 9 * * *", "missing", "no empty places"),
    ("٠ ٩ * * *", "ASCII", "0-9"),
    ("０ ９ * * *", "ASCII", "0-9"),
    ("daily", "1 word", "daily 07:30"),
    ("daily 07:30 19:30", "1 word", "daily 07:30"),
    ("daily 7:30pm", "24-hour clock", "07:30"),
    ("daily 24:00", "24-hour clock", "07:30"),
    ("weekly 07:30", "2 words", "weekly mon,thu 07:30"),
    ("weekly 1 07:30", "weekdays", "mon,thu"),
    ("weekly fri#1 07:30", "weekdays", "mon,thu"),
    ("monthly 32 09:00", "outside day-of-month", "1 to 31"),
    ("every", "whole number", "every 15 minutes"),
    ("every 1.5 hours", "whole number", "every 15 minutes"),
    ("every 2 days", "whole number", "every 48 hours"),
    ("every 0 minutes", "between", "31 days"),
    ("every 745 hours", "between", "monthly"),
    ("every 30 seconds", "--seconds", "every 15 minutes"),
    ("once tomorrow", "local date and time", "once 2026-12-24T18:00"),
    ("once 2026-02-30T09:00", "calendar", "once 2026-12-24T18:00"),
    ("once 2026-12-24T18:00Z", "without an offset", "once 2026-12-24T18:00"),
    ("hourly", "no word", "daily"),
    ("0 9 * * *; drop table", "seven fields", "five fields"),
    ("9" * 300, "300 characters", "daily 07:30"),
]


@pytest.mark.parametrize(("text", "rule", "advice"), REFUSED)
def test_a_refusal_names_the_value_the_rule_and_what_to_write(text: str, rule: str, advice: str) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        parse(text)

    message = str(caught.value)
    assert ascii(text[:40])[:-1] in message
    assert rule in message
    assert advice in message
    assert "\n" not in message
    assert len(message) < 500


def test_spellings_of_one_schedule_are_equal_and_hash_alike() -> None:
    spellings = {
        parse("weekdays 07:30"),
        parse("30 07 * * 1-5"),
        parse("weekly mon-fri 7:30"),
        parse("30 7 * * 5,4,3,2,1"),
    }

    assert len(spellings) == 1


def test_elapsed_time_and_wall_time_are_different_schedules() -> None:
    assert parse("every 15 minutes") != parse("*/15 * * * *")
    assert parse("every 15 minutes").timezone_fixed == "UTC"
    assert parse("*/15 * * * *").timezone_fixed is None


def test_prefect_is_told_whether_one_day_field_is_enough() -> None:
    assert parse("0 9 13 * 5 any").day_or is True
    assert parse("0 9 13 * 5 all").day_or is False
    assert parse("daily 07:30").day_or is True


def test_the_ceiling_of_runs_a_day_is_a_setting() -> None:
    assert parse("every minute", max_runs_per_day=1440).runs_per_day == 1440
    assert parse("every minute", max_runs_per_day=None) == Every(60)
    with pytest.raises(InvalidSchedule, match="24 runs a day are more than the 12"):
        parse("@hourly", max_runs_per_day=12)


def test_more_than_hourly_is_refused_in_local_time_but_not_in_utc() -> None:
    with pytest.raises(InvalidSchedule, match="write 'every 30 minutes'"):
        parse("*/30 * * * *", timezone="Europe/Berlin")

    assert parse("*/30 * * * *", timezone="Etc/UTC").runs_per_day == 48
    assert parse("every 30 minutes", timezone="Europe/Berlin").runs_per_day == 48
    assert parse("@hourly", timezone="Europe/Berlin").runs_per_day == 24


def test_an_unknown_timezone_is_refused_with_the_expression() -> None:
    with pytest.raises(InvalidSchedule, match="did you mean Europe/Berlin"):
        parse("daily 07:30", timezone="europe/berlin")


@pytest.mark.parametrize(
    ("text", "canonical", "crons"),
    [
        ("every 30 seconds", "every 30 seconds", ("* * * * * */30",)),
        ("every second", "every second", ("* * * * * *",)),
        ("every 7 seconds", "every 7 seconds", ()),
        ("*/20 0 9 * * *", "*/20 0 9 * * *", ("0 9 * * * */20",)),
        ("0 0 9 * * *", "daily 09:00", ("0 9 * * *",)),
        ("15 0 9 13 * 5 any", "15 0 9 13 * 5 any", ("0 9 13 * 5 15",)),
    ],
)
def test_an_operators_seconds_come_first_and_are_translated_to_last(
    text: str, canonical: str, crons: tuple[str, ...]
) -> None:
    expression = parse(text, seconds=True)

    assert (str(expression), expression.crons) == (canonical, crons)
    assert parse(canonical, seconds=True) == expression


def subsets(low: int, high: int, most: int = 6) -> st.SearchStrategy[tuple[int, ...]]:
    some = st.sets(st.integers(low, high), min_size=1, max_size=most)
    steps = st.tuples(st.integers(low, high), st.integers(1, 12)).map(
        lambda pair: set(range(pair[0], high + 1, pair[1]))
    )
    return st.one_of(some, steps, st.just(set(range(low, high + 1)))).map(lambda values: tuple(sorted(values)))


@st.composite
def crons(draw: st.DrawFn) -> Cron:
    days, weekdays = draw(subsets(1, 28)), draw(subsets(0, 6))
    both = len(weekdays) < 7
    seconds = draw(st.one_of(st.just((0,)), subsets(0, 59)))
    either = both and draw(st.booleans())
    return Cron(draw(subsets(0, 59)), draw(subsets(0, 23)), days, draw(subsets(1, 12)), weekdays, 0, either, seconds)


ONCE = st.datetimes(datetime.fromisoformat("1970-01-01"), datetime.fromisoformat("9899-01-01"))


@given(
    st.one_of(
        crons(),
        st.integers(1, 744 * 3600).map(Every),
        ONCE.map(lambda at: Once(at.replace(second=0, microsecond=0))),
    )
)
@settings(max_examples=200, deadline=None)
def test_every_expression_prints_as_text_that_parses_back(expression: Cron | Every | Once) -> None:
    assert parse(str(expression), seconds=True) == expression


@given(st.text(max_size=40) | st.text("0123456789*/,-#LW? @dailyevrmonths:", max_size=25))
@settings(max_examples=200, deadline=None)
def test_any_text_is_either_read_or_refused_by_name(text: str) -> None:
    try:
        expression = parse(text)
    except InvalidSchedule:
        return  # Anything else raised would fail this test.
    assert parse(str(expression)) == expression
