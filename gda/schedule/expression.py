"""The schedule language: one line of text becomes one value; equal schedules are equal values (DESIGN 5).

Spellings: ``daily 07:30``, ``weekdays 07:30``, ``weekly mon,thu 07:30``, ``monthly 1 09:00``, ``monthly last 09:00``,
``every 15 minutes`` (elapsed time, UTC), ``once 2026-12-24T18:00``, ``30 7 * * 1-5``, ``@daily``.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from gda.errors import InvalidSchedule
from gda.schedule.cron import Cron, parse_cron
from gda.schedule.fields import WEEKDAY_NAMES, Refusal
from gda.schedule.zone import is_utc, zone

MAX_RUNS_PER_DAY = 96
"""The default ceiling of a user's schedule: every 15 minutes (DESIGN 5)."""
MAX_LOCAL_RUNS_PER_DAY = 24
"""The ceiling outside UTC: below an hour elapsed time is meant, and a clock change would tear holes into local time."""

_DAY = 86_400
_LONGEST_PERIOD = 31 * _DAY
_LONGEST_TEXT = 200
_UNITS = {"second": 1, "minute": 60, "hour": 3600}
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_WORDS = ("daily", "weekdays", "weekly", "monthly", "every", "once")


@dataclass(frozen=True, slots=True)
class Every:
    """Each multiple of ``seconds`` of elapsed time since 1970-01-01T00:00Z; slots are named by UTC's wall clock."""

    seconds: int

    @property
    def form(self) -> str:
        """``every``: elapsed time, whatever clocks on walls do."""
        return "every"

    @property
    def timezone_fixed(self) -> str | None:
        """``UTC``: elapsed time has no timezone of its own."""
        return "UTC"

    @property
    def runs_per_day(self) -> int:
        """The most slots that one UTC day can hold."""
        return -(-_DAY // self.seconds)

    @property
    def day_or(self) -> bool:
        """What Prefect's ``CronSchedule(day_or=...)`` must be told."""
        return True

    @property
    def crons(self) -> tuple[str, ...]:
        """The equal cron line in UTC (Prefect's seconds last); empty where the period does not divide evenly."""
        lines = {1: "* * * * * */{n}", 60: "*/{n} * * * *", 3600: "0 */{n} * * *"}
        if self.seconds == _DAY:
            return ("0 0 * * *",)
        for size, line in reversed(lines.items()):
            count, rest = divmod(self.seconds, size)
            if not rest and count < 60 and (24 if size == 3600 else 60) % count == 0:
                return ((line.format(n=count)).replace("*/1 ", "* ").removesuffix("/1"),)
        return ()

    @property
    def period(self) -> timedelta:
        """The elapsed time from one slot to the next."""
        return timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        unit = max((unit for unit, size in _UNITS.items() if self.seconds % size == 0), key=_UNITS.__getitem__)
        count = self.seconds // _UNITS[unit]
        return f"every {unit}" if count == 1 else f"every {count} {unit}s"


@dataclass(frozen=True, slots=True)
class Once:
    """One slot: the nominal local time ``at`` (naive, whole minutes)."""

    at: datetime

    @property
    def form(self) -> str:
        """``once``: one local time on the wall."""
        return "once"

    @property
    def timezone_fixed(self) -> str | None:
        """None: the schedule's own timezone counts."""
        return None

    @property
    def runs_per_day(self) -> int:
        """One."""
        return 1

    @property
    def day_or(self) -> bool:
        """What Prefect's ``CronSchedule(day_or=...)`` would be told."""
        return True

    @property
    def crons(self) -> tuple[str, ...]:
        """Empty: cron has no way to say a year, so the sweep alone serves it."""
        return ()

    def __str__(self) -> str:
        return f"once {self.at.isoformat(timespec='minutes')}"


Expression = Cron | Every | Once
"""What ``parse`` returns: all three have form, crons, day_or, runs_per_day and timezone_fixed; ``str`` is canonical."""


@lru_cache(maxsize=8192)
def parse(
    text: str, *, seconds: bool = False, max_runs_per_day: int | None = MAX_RUNS_PER_DAY, timezone: str | None = None
) -> Expression:
    """Read a schedule expression.

    text: the spelling a person typed; case and spacing do not matter.
    seconds: an operator's own job: seconds are read (``every 30 seconds``, six fields with seconds first), and the
        ceiling does not count.
    max_runs_per_day: the most slots a day; None for no ceiling.
    timezone: the IANA name it will run in, where known: then more than 24 runs a day outside UTC are refused too.

    Returns a frozen value whose ``str`` is the canonical text, which parses back to an equal value. Raises
    InvalidSchedule with the value, the rule and a suggestion. The grammar is what cronsim, croniter and Prefect were
    measured to agree on.
    """
    try:
        expression = _read(text, seconds=seconds)
        if max_runs_per_day is not None and not seconds:
            _check_rate(expression, max_runs_per_day)
        if timezone is not None and not is_utc(zone(timezone).key or "") and expression.timezone_fixed is None:
            _check_local_rate(expression, timezone, seconds=seconds)
    except Refusal as refusal:
        shown = text if len(text) <= _LONGEST_TEXT else text[:40] + "..."
        raise InvalidSchedule(f"schedule {shown!a} refused: {refusal}") from None
    return expression


def parse_stored(text: str) -> Expression:
    """Read an expression that was checked when it was written: seconds are read, and no ceiling counts any more.

    Raises InvalidSchedule where the text no longer parses.
    """
    return parse(text, seconds=True, max_runs_per_day=None)


def _read(text: str, *, seconds: bool) -> Expression:
    if len(text) > _LONGEST_TEXT:
        raise Refusal(f"{len(text)} characters where {_LONGEST_TEXT} are enough; write one line such as 'daily 07:30'")
    if not text.isascii():
        # Prefect 3.9.1 takes Arabic and full-width digits as digits; croniter and cronsim refuse them.
        raise Refusal("letters and digits must be plain ASCII; type 0-9 and a-z, such as 'daily 07:30'")
    words = text.lower().split()
    if not words:
        raise Refusal("it is empty; write such as 'daily 07:30', 'every 15 minutes' or '30 7 * * 1-5'")
    if words[0] in _WORDS:
        return _read_words(words[0], words[1:], seconds=seconds)
    if words[0].startswith("@"):
        return parse_cron(_alias(words))
    if len(words[0]) > 3 and words[0].isalpha():
        raise Refusal(
            f"{words[0]!r} is no word of the schedule language; begin with {', '.join(_WORDS)}, or five cron fields"
        )
    return parse_cron(" ".join(words), seconds=seconds)


def _alias(words: list[str]) -> str:
    name = words[0]
    if len(words) == 1 and name in _ALIASES:
        return _ALIASES[name]
    known = {
        "@reboot": "GDA's workers restart at any time; write a time, such as 'daily 07:30'",
        "@midnight": "write '@daily'",
        "@annually": "write '@yearly'",
        "@every": "write 'every 15 minutes'",
    }
    raise Refusal(known.get(name, f"{name!r} is not one of {' '.join(_ALIASES)} standing alone; write one of those"))


def _read_words(word: str, rest: list[str], *, seconds: bool) -> Expression:
    if word == "every":
        return _read_every(rest, seconds=seconds)
    if word == "once":
        return _read_once(rest)
    shapes = {"daily": 1, "weekdays": 1, "weekly": 2, "monthly": 2}
    samples = {"daily": "07:30", "weekdays": "07:30", "weekly": "mon,thu 07:30", "monthly": "1 09:00"}
    if len(rest) != shapes[word]:
        raise Refusal(
            f"{word!r} takes {shapes[word]} word{'s'[: shapes[word] - 1]} after it; write '{word} {samples[word]}'"
        )
    minute, hour = _read_time(rest[-1])
    if word == "weekly":
        _check_named_days(rest[0])
        return parse_cron(f"{minute} {hour} * * {rest[0]}")
    if word == "monthly":
        return parse_cron(f"{minute} {hour} {'l' if rest[0] == 'last' else rest[0]} * *")
    return parse_cron(f"{minute} {hour} * * {'1-5' if word == 'weekdays' else '*'}")


def _check_named_days(text: str) -> None:
    # Numbers are kept for cron: 1 is Monday to cron and Sunday to Quartz.
    if not re.fullmatch(r"[a-z]+([,-][a-z]+)*", text):
        raise Refusal(
            f"{text!r} does not name weekdays; write such as 'weekly mon,thu 07:30', from {' '.join(WEEKDAY_NAMES)}"
        )


def _read_time(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,2}):(\d{2})", text)
    if not found or int(found[1]) > 23 or int(found[2]) > 59:
        raise Refusal(f"{text!r} is no time of day; write it on the 24-hour clock from 00:00 to 23:59, such as 07:30")
    return int(found[2]), int(found[1])


def _read_every(rest: list[str], *, seconds: bool) -> Every:
    count_text, unit = (["1", *rest] if len(rest) == 1 else rest) if len(rest) in (1, 2) else ("", "")
    unit = unit.removesuffix("s")
    if not re.fullmatch(r"[0-9]{1,7}", count_text) or unit not in _UNITS:
        calendar = unit in ("day", "week")
        hint = "'daily 07:30', 'weekly mon 07:30' or 'every 48 hours'" if calendar else "'every 15 minutes'"
        raise Refusal(f"'every' takes a whole number of minutes or hours, counted in UTC; write {hint}")
    if unit == "second" and not seconds:
        raise Refusal("seconds are for an operator's own jobs (--seconds); write 'every 15 minutes'")
    total = int(count_text) * _UNITS[unit]
    if not 0 < total <= _LONGEST_PERIOD:
        raise Refusal(
            f"a period lies between 1 {unit} and 31 days (744 hours); write 'monthly 1 09:00' for longer ones"
        )
    return Every(total)


def _read_once(rest: list[str]) -> Once:
    text = "t".join(rest)
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}t\d{2}:\d{2}", text):
        try:
            at = datetime.fromisoformat(text.upper())
        except ValueError:
            raise Refusal(
                f"{text.upper()} is no date and time of the calendar; write such as 'once 2026-12-24T18:00'"
            ) from None
        if 1970 <= at.year < 9900:
            return Once(at)
    raise Refusal("'once' takes a local date and time to the minute, without an offset; write 'once 2026-12-24T18:00'")


def _check_rate(expression: Expression, ceiling: int) -> None:
    runs = expression.runs_per_day
    if runs > ceiling:
        raise Refusal(f"{runs} runs a day are more than the {ceiling} allowed here; write 'every 15 minutes' or rarer")


def _check_local_rate(expression: Expression, timezone: str, *, seconds: bool) -> None:
    runs = expression.runs_per_day
    if runs > MAX_LOCAL_RUNS_PER_DAY:
        period = f"every {max(_DAY // runs // 60, 1)} minutes" if not seconds else "every 30 seconds"
        raise Refusal(
            f"{runs} runs a day are more than the {MAX_LOCAL_RUNS_PER_DAY} allowed in local time ({timezone}), "
            f"which clock changes would tear; write '{period}', which counts in UTC, or set the timezone to UTC"
        )
