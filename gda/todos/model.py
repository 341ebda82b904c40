"""To-dos and reminders as frozen values, and the rules that a person's words must keep."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gda.errors import UsageError
from gda.todos.due import Due
from gda.todos.repeat import Repeat

PRIORITIES = ("low", "normal", "high")
STATUSES = ("open", "overdue", "done")
LONGEST_TITLE = 200
LONGEST_DESCRIPTION = 10_000
LONGEST_TAG = 50
MOST_TAGS = 20
ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class NewTodo:
    """What is asked for; without ``id`` it gets one."""

    user_id: str
    title: str
    description: str = ""
    priority: str = "normal"
    tags: tuple[str, ...] = ()
    due: Due | None = None
    repeat: Repeat | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Todo:
    """Something a user has to do; all instants are aware UTC."""

    id: str
    user_id: str
    title: str
    description: str
    priority: str
    tags: tuple[str, ...]
    status: str
    due_at: datetime | None
    due_day: str | None
    """The local day, where only that was said; ``due_at`` is its end."""
    completed_at: datetime | None
    overdue_at: datetime | None
    """When the overdue scan saw it, under its present due date."""
    repeat: Repeat | None
    series_id: str | None
    series_slot: str | None
    """Its nominal place in the series, whatever its own due date was moved to."""
    last_processed_at: datetime | None
    """When what follows its completion was made; None while that is to be done."""
    problem: str
    created_at: datetime

    @property
    def due(self) -> Due | None:
        """When it is due."""
        return None if self.due_at is None else Due(self.due_at, self.due_day)

    @property
    def completed(self) -> bool:
        """Whether it is done."""
        return self.completed_at is not None


@dataclass(frozen=True, slots=True)
class Reminder:
    """One reminder of a to-do; ``before`` (a duration before the due date) is None where an instant was given."""

    id: str
    todo_id: str
    user_id: str
    remind_at: datetime
    before: timedelta | None
    status: str
    """``pending``, ``taken`` (an occurrence performs it), ``sent``, ``skipped`` or ``cancelled``."""
    reason: str
    late: bool
    sent_at: datetime | None
    channels: str
    created_at: datetime


def checked(new: NewTodo) -> NewTodo:
    """The same with trimmed title and tags. Raises UsageError where a value breaks its rule."""
    title = new.title.strip()
    tags = tuple(dict.fromkeys(tag.strip() for tag in new.tags))
    if not title or len(title) > LONGEST_TITLE or not title.isprintable():
        raise UsageError(f"a title has 1 to {LONGEST_TITLE} characters on one line; this one has {len(title)}")
    if len(new.description) > LONGEST_DESCRIPTION or "\0" in new.description:
        raise UsageError(
            f"a description has at most {LONGEST_DESCRIPTION} characters; this one has {len(new.description)}"
        )
    if new.priority not in PRIORITIES:
        raise UsageError(f"priority {new.priority!r}: choose one of {', '.join(PRIORITIES)}")
    if len(tags) > MOST_TAGS or any(not 0 < len(tag) <= LONGEST_TAG or not tag.isprintable() for tag in tags):
        raise UsageError(f"at most {MOST_TAGS} tags of 1 to {LONGEST_TAG} characters each: shorten or leave out some")
    if new.repeat is not None and new.due is None:
        raise UsageError("a to-do that repeats needs a due date: say when the first one is due")
    if new.id is not None:
        require_id(new.id)
    return replace(new, title=title, tags=tags)


def require_id(identity: str) -> str:
    """Give back an id that a person chose. Raises UsageError where it breaks the rule."""
    if not ID.fullmatch(identity):
        raise UsageError(f"id {identity[:80]!r}: use lower-case letters, digits, '.', '_' and '-', at most 64")
    return identity
