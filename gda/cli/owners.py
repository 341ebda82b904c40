"""Whose schedule is meant: a user's, ``USER KIND``, or the operator's, ``--system KIND``."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gda.cli.kinds import adopt_earlier_names, require_kind
from gda.errors import UsageError

if TYPE_CHECKING:
    from gda.schedule import Expression
    from gda.store import Schedule, Store, User

OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Meant:
    """The words of a command; ``who`` is an id or address, None the operator."""

    who: str | None
    kind: str
    rest: str = ""

    @property
    def name(self) -> str:
        """What to call the owner in a sentence."""
        return self.who or "the operator"


def meant(*words: str | None, system: bool) -> Meant:
    """Read ``USER KIND [EXPRESSION]``, or the same without the user where the operator's is meant.

    Args:
        words: as many as the longer form has; None for those that were not given.
        system: whether the operator's is meant.

    Raises:
        UsageError: too few or too many words, or an unknown kind.
    """
    given = [word for word in words if word is not None]
    names = ["USER", "KIND", "EXPRESSION"][: len(words)]
    wanted = names[1:] if system else names
    if len(given) != len(wanted):
        advice = "leave the user out" if system else f"or --system and {' '.join(names[1:])} for the operator's own"
        raise UsageError(f"{len(given)} words were given: say {' '.join(wanted)}; {advice}")
    who, kind, *rest = [None, *given] if system else given
    return Meant(who, require_kind(str(kind)), rest[0] if rest and rest[0] else "")


async def owner_of(opened: "Store", asked: Meant) -> "User | None":
    """The user who is meant, None for the operator. Raises UnknownUser."""
    return await opened.users.get(asked.who) if asked.who is not None else None


async def find_schedule(opened: "Store", asked: Meant, name: str) -> "Schedule":
    """The one schedule that is meant. Raises UsageError where there is none."""
    await adopt_earlier_names(opened)
    owner = await owner_of(opened, asked)
    user_id = owner.id if owner else None
    for schedule in await opened.schedules.all(user_id=user_id, kind=asked.kind):
        if (schedule.user_id, schedule.name) == (user_id, name):
            return schedule
    raise UsageError(f"{asked.name} has no {asked.kind} schedule named {name!r}; `gda schedule list` shows them")


def read_expression(text: str, *, timezone: str, most: int, system: bool, seconds: bool) -> "Expression":
    """An expression as its owner may write it: ``every 30 seconds``, and six fields with --seconds, for operators only.

    Raises:
        InvalidSchedule: it breaks a rule.
        UsageError: --seconds for a user's.
    """
    from gda.schedule import parse

    if seconds and not system:
        raise UsageError("--seconds is for the operator's own schedules: say --system, or leave seconds out")
    read_seconds = seconds or (system and text.lower().split()[:1] == ["every"])
    return parse(text, seconds=read_seconds, timezone=timezone, max_runs_per_day=None if system else most)


def read_payload(text: str | None, kind: str, *, system: bool) -> dict[str, Any]:
    """A schedule's settings that hold what its jobs carry, checked against the kind's model. Raises UsageError."""
    from gda.enqueue import checked_payload
    from gda.registry import load_registry

    if text is not None and not system:
        raise UsageError("--payload is for the operator's own schedules: say --system, or leave it out")
    if not system:
        return {}
    payload = checked_payload(json_object(text or "{}"), load_registry().get(kind))
    return {} if payload is None else {"payload": payload}


def json_object(text: str) -> dict[str, Any]:
    """What --payload says. Raises UsageError where it is no JSON object."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UsageError("--payload is no JSON object: write such as '{\"name\": 1}'")
    return value
