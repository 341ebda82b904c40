"""Schedules said as a sentence: ``every(5).minutes``, ``every().monday.at("09:00", tz="Europe/Berlin")``."""

from dataclasses import dataclass

from gda.errors import InvalidSchedule
from gda.schedule.fields import WEEKDAY_NAMES
from gda.schedule.schedule import Schedule


@dataclass(frozen=True, slots=True)
class At:
    """Days that still want their time: ``.at("09:00")`` makes the schedule."""

    days: str

    def at(self, time: str, *, tz: str = "UTC") -> Schedule:
        """The schedule of those days at a local time such as ``09:00``, in an IANA timezone."""
        return Schedule.parse(f"{self.days} {time}", tz=tz)


@dataclass(frozen=True, slots=True)
class Count:
    """How many of the unit that follows: ``minutes``, ``hours`` and ``seconds`` (elapsed time), or days by name."""

    count: int

    @property
    def seconds(self) -> Schedule:
        """Elapsed seconds, for an operator's own jobs."""
        return Schedule.parse(f"every {self.count} seconds", seconds=True)

    @property
    def minutes(self) -> Schedule:
        """Elapsed minutes, counted in UTC."""
        return Schedule.parse(f"every {self.count} minutes")

    @property
    def hours(self) -> Schedule:
        """Elapsed hours, counted in UTC."""
        return Schedule.parse(f"every {self.count} hours")

    second = seconds
    minute = minutes
    hour = hours

    @property
    def day(self) -> At:
        """Every day, at a time."""
        return self._days("day", "daily")

    @property
    def weekday(self) -> At:
        """Monday to Friday, at a time."""
        return self._days("weekday", "weekdays")

    @property
    def sunday(self) -> At:
        """Sundays, at a time."""
        return self._on(0)

    @property
    def monday(self) -> At:
        """Mondays, at a time."""
        return self._on(1)

    @property
    def tuesday(self) -> At:
        """Tuesdays, at a time."""
        return self._on(2)

    @property
    def wednesday(self) -> At:
        """Wednesdays, at a time."""
        return self._on(3)

    @property
    def thursday(self) -> At:
        """Thursdays, at a time."""
        return self._on(4)

    @property
    def friday(self) -> At:
        """Fridays, at a time."""
        return self._on(5)

    @property
    def saturday(self) -> At:
        """Saturdays, at a time."""
        return self._on(6)

    def _on(self, weekday: int) -> At:
        return self._days(WEEKDAY_NAMES[weekday], f"weekly {WEEKDAY_NAMES[weekday]}")

    def _days(self, unit: str, spelling: str) -> At:
        # "Every second Monday" would need a week to count from, which neither cron nor a clock change leaves alone.
        if self.count != 1:
            raise InvalidSchedule(
                f"schedule 'every {self.count} {unit}' refused: days are not counted; write every().{unit}, a cron "
                f"line such as '0 9 * * 1#2', or every({24 * self.count}).hours for elapsed time"
            )
        return At(spelling)


def every(count: int = 1) -> Count:
    """Begin a schedule: ``every(5).minutes``, ``every().day.at("07:30")``, ``every().monday.at("09:00")``.

    The grammar is that of ``gda.schedule.parse``. What follows raises InvalidSchedule for a count or time it refuses.
    """
    return Count(count)
