"""Days, months and times of day in words."""

from datetime import date, datetime

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def nominal(label: str) -> datetime | None:
    """The local time of a slot's name, naive; None for anything else."""
    try:
        # A slot is what the clock on the wall says, not an instant, so it has no timezone on purpose.
        return datetime.fromisoformat(label)
    except ValueError:
        return None


def long_date(day: date) -> str:
    """Such as ``Sunday 8 March 2026``."""
    return f"{DAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]} {day.year}"


def short_date(day: date, today: date) -> str:
    """Such as ``Sun 8 Mar``, with the year where it is another than today's."""
    return f"{DAYS[day.weekday()][:3]} {day.day} {MONTHS[day.month - 1][:3]}" + (
        "" if day.year == today.year else f" {day.year}"
    )


def greeting(hour: int) -> str:
    """What one says at that hour."""
    if 4 <= hour < 12:
        return "Good morning"
    return "Good afternoon" if 12 <= hour < 18 else "Good evening"
