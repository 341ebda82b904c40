"""When things are due: the schedule language, timezones, and the oracle that names every slot. No I/O, no clock."""

from gda.schedule.cron import Cron
from gda.schedule.due import CatchUp, DueDecision, Policies, Promise, decide_due, spread_offset
from gda.schedule.expression import (
    MAX_LOCAL_RUNS_PER_DAY,
    MAX_RUNS_PER_DAY,
    Every,
    Expression,
    Once,
    parse,
    parse_stored,
)
from gda.schedule.fluent import every
from gda.schedule.schedule import Appointment, Schedule, is_due, next_after
from gda.schedule.slots import (
    DueSlot,
    first_after,
    latest_slot,
    next_slots,
    parse_slot,
    slot_at,
    slot_name,
    slots_after,
    slots_between,
)
from gda.schedule.text import PreviewRow, describe, preview
from gda.schedule.zone import Resolved, is_utc, resolve, tzdata_version, zone, zone_names

__all__ = [
    "MAX_LOCAL_RUNS_PER_DAY",
    "MAX_RUNS_PER_DAY",
    "Appointment",
    "CatchUp",
    "Cron",
    "DueDecision",
    "DueSlot",
    "Every",
    "Expression",
    "Once",
    "Policies",
    "PreviewRow",
    "Promise",
    "Resolved",
    "Schedule",
    "decide_due",
    "describe",
    "every",
    "first_after",
    "is_due",
    "is_utc",
    "latest_slot",
    "next_after",
    "next_slots",
    "parse",
    "parse_slot",
    "parse_stored",
    "preview",
    "resolve",
    "slot_at",
    "slot_name",
    "slots_after",
    "slots_between",
    "spread_offset",
    "tzdata_version",
    "zone",
    "zone_names",
]
