"""How many slots lie in a stretch of time, without walking them all: years of every minute are 2.6 million."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from gda.schedule.cron import Cron
from gda.schedule.expression import Every, Expression
from gda.schedule.slots import day_count, slots_between
from gda.schedule.zone import zone

_TICK = timedelta(microseconds=1)
_MARGIN = timedelta(days=2)
_WORTH_COUNTING = timedelta(days=10)


def count_slots(expression: Expression, tz: str | ZoneInfo, since: datetime, before: datetime) -> int:
    """The number of slots with ``since <= due_at < before`` (aware), merged ones included.

    Long stretches are counted by whole nominal days, two days clear of either end so that no gap can move a slot
    across.
    """
    if isinstance(expression, Every):
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        return max(0, -((epoch - before) // expression.period) + ((epoch - since) // expression.period))
    if not isinstance(expression, Cron) or before - since < _WORTH_COUNTING:
        return sum(1 for _ in slots_between(expression, tz, since - _TICK, before - _TICK))
    place = zone(tz)
    first = (since + _MARGIN).astimezone(place).date()
    last = (before - _MARGIN).astimezone(place).date()
    head = slots_between(expression, tz, since - _TICK, since + 2 * _MARGIN)
    tail = slots_between(expression, tz, before - 2 * _MARGIN, before - _TICK)
    outside = sum(slot.slot < first.isoformat() for slot in head) + sum(
        slot.slot[:10] >= last.isoformat() for slot in tail
    )
    return outside + day_count(expression, first, last) * expression.runs_per_day
