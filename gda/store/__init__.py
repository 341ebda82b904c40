"""The only SQL in GDA: users, schedules, the ledger, the effect journal and their history, on SQLite or PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gda.settings import Settings
from gda.store.cohorts import Cohort, Cohorts
from gda.store.commands import CancelledRun, Commands, Watched
from gda.store.consent import Consent, Dying
from gda.store.database import Clock, Database, DatabaseClock, open_database
from gda.store.dead_letters import DeadLetters, Group, Letter, Which
from gda.store.effects import SEND, Effects, Intent, Receipt, Refusal
from gda.store.errands import Confirmation, Errand, Errands
from gda.store.group_commit import GroupCommit
from gda.store.hand import ByHand, Target
from gda.store.held_notices import HeldNotice, HeldNotices, ReleaseRules
from gda.store.history import History, Story
from gda.store.leases import Leases, NamedLease
from gda.store.ledger import Ledger, Worker
from gda.store.notice_errands import Asked, NoticeErrand, NoticeErrands
from gda.store.notifications import NewNotification, Notification, Notifications
from gda.store.notify_preferences import NotifyPreferences, Preference, PushSubscription, subscription_id
from gda.store.promises import Defaults, Promised, Waker
from gda.store.queue import Queue
from gda.store.records import Attempt, Credential, Effect, MailCursor, Schedule, User
from gda.store.reminder_dispatch import DueReminder, ReminderDispatch, Sent, Taken, TakeRules
from gda.store.reminders import NewReminder, Reminders
from gda.store.renames import Renames
from gda.store.retention import Retention
from gda.store.revisions import Revision, Revisions
from gda.store.schedules import Schedules, Wish
from gda.store.schema import current, downgrade, require_current, upgrade
from gda.store.scopes import Scope
from gda.store.seen_events import CalendarMemory, CalendarStep, SeenEvents
from gda.store.stats import Stats
from gda.store.sweeping import Sweeping
from gda.store.todo_scans import Followed, Marked, TodoScans
from gda.store.todos import Change, Todos
from gda.store.token_refresh import Busy, Expiring, RefreshRules, Renewed, TokenRefresh, Turn, Wanted
from gda.store.untold import Untold
from gda.store.users import Credentials, Users

__all__ = [
    "SEND",
    "Asked",
    "Attempt",
    "Busy",
    "ByHand",
    "CalendarMemory",
    "CalendarStep",
    "CancelledRun",
    "Change",
    "Clock",
    "Cohort",
    "Cohorts",
    "Commands",
    "Confirmation",
    "Consent",
    "Credential",
    "Credentials",
    "Database",
    "DatabaseClock",
    "DeadLetters",
    "Defaults",
    "DueReminder",
    "Dying",
    "Effect",
    "Effects",
    "Errand",
    "Errands",
    "Expiring",
    "Followed",
    "Group",
    "HeldNotice",
    "HeldNotices",
    "History",
    "Intent",
    "Leases",
    "Ledger",
    "Letter",
    "MailCursor",
    "Marked",
    "NamedLease",
    "NewNotification",
    "NewReminder",
    "NoticeErrand",
    "NoticeErrands",
    "Notification",
    "Notifications",
    "NotifyPreferences",
    "Preference",
    "Promised",
    "PushSubscription",
    "Queue",
    "Receipt",
    "RefreshRules",
    "Refusal",
    "ReleaseRules",
    "ReminderDispatch",
    "Reminders",
    "Renames",
    "Renewed",
    "Retention",
    "Revision",
    "Revisions",
    "Schedule",
    "Schedules",
    "Scope",
    "SeenEvents",
    "Sent",
    "Stats",
    "Store",
    "Story",
    "Sweeping",
    "TakeRules",
    "Taken",
    "Target",
    "TodoScans",
    "Todos",
    "TokenRefresh",
    "Turn",
    "Untold",
    "User",
    "Users",
    "Waker",
    "Wanted",
    "Watched",
    "Which",
    "Wish",
    "Worker",
    "current",
    "downgrade",
    "make_store",
    "open_database",
    "open_store",
    "require_current",
    "subscription_id",
    "upgrade",
]


@dataclass(frozen=True, slots=True)
class Store:
    """One database seen through its parts."""

    database: Database
    users: Users
    credentials: Credentials
    schedules: Schedules
    cohorts: Cohorts
    revisions: Revisions
    ledger: Ledger
    queue: Queue
    effects: Effects
    errands: Errands
    notice_errands: NoticeErrands
    seen_events: SeenEvents
    history: History
    leases: Leases
    sweeping: Sweeping
    commands: Commands
    retention: Retention
    stats: Stats
    dead_letters: DeadLetters
    untold: Untold
    renames: Renames
    todos: Todos
    todo_scans: TodoScans
    notifications: Notifications
    notify_preferences: NotifyPreferences
    held_notices: HeldNotices
    reminders: Reminders
    reminder_dispatch: ReminderDispatch
    token_refresh: TokenRefresh
    consent: Consent


GROUPS_AT_ONCE = 2
"""Shared transactions under way at once on PostgreSQL: one is written while the next is put together."""


def make_store(database: Database, settings: Settings) -> Store:
    """Put the parts together over one database; connects on first use."""
    at_once = 1 if database.is_sqlite else GROUPS_AT_ONCE
    writes = GroupCommit(database.write, database.clock, at_once=at_once)
    reads = GroupCommit(database.read, database.clock, at_once=at_once)
    return Store(
        database=database,
        users=Users(database),
        credentials=Credentials(database),
        schedules=Schedules(database, Defaults.of(settings)),
        cohorts=Cohorts(database),
        revisions=Revisions(database),
        ledger=Ledger(database, settings, writes=writes, reads=reads),
        queue=Queue(database),
        effects=Effects(writes=writes),
        errands=Errands(writes=writes, reads=reads),
        notice_errands=NoticeErrands(reads=reads),
        seen_events=SeenEvents(writes=writes, reads=reads),
        history=History(database),
        leases=Leases(database),
        sweeping=Sweeping(database, Defaults.of(settings)),
        commands=Commands(database, Defaults.of(settings)),
        retention=Retention(database),
        stats=Stats(database),
        dead_letters=DeadLetters(database),
        untold=Untold(database),
        renames=Renames(database),
        todos=Todos(database),
        todo_scans=TodoScans(database),
        notifications=Notifications(database, writes=writes),
        notify_preferences=NotifyPreferences(database),
        held_notices=HeldNotices(database, writes=writes, reads=reads),
        reminders=Reminders(database),
        reminder_dispatch=ReminderDispatch(database, writes=writes, reads=reads),
        token_refresh=TokenRefresh(database, writes=writes, reads=reads),
        consent=Consent(database),
    )


@asynccontextmanager
async def open_store(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[Store]:
    """Open the database of ``settings`` after checking that its schema is this code's. Raises SchemaOutOfDate."""
    database = open_database(settings.database, clock=clock, patience=settings.lease)
    try:
        await require_current(database)
        yield make_store(database, settings)
    finally:
        await database.close()
