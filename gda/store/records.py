"""Frozen values that the store hands out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class User:
    """A person GDA works for; ``timezone`` is an IANA name, ``status`` active, paused or needs-consent."""

    id: str
    email: str
    name: str
    timezone: str
    status: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Schedule:
    """A user (None: the operator) wants ``kind`` at ``expression`` in ``timezone`` (the user's when inherited)."""

    id: str
    user_id: str | None
    kind: str
    name: str
    expression: str
    timezone: str
    inherits_timezone: bool
    enabled: bool
    user_status: str
    revision: int
    active_from: datetime
    next_due_at: datetime | None
    catch_up: str = "latest"
    catch_up_window: timedelta = timedelta(hours=12)
    overlap: str = "queue"
    spread: timedelta = timedelta(0)
    expire_after: timedelta | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    paused_in_prefect_at: datetime | None = None
    """When the sweep last saw that a person has paused it in Prefect; None where that is not so."""

    @property
    def active(self) -> bool:
        """Whether slots of this schedule are promised."""
        return self.enabled and self.user_status != "paused"


@dataclass(frozen=True, slots=True)
class Credential:
    """A user's tokens with one provider; both are sealed, see :mod:`gda.vault`.

    A sealed text is never the same twice, so that ``access_token`` also tells one token from the next.
    """

    user_id: str
    provider: str
    refresh_token: str
    access_token: str | None
    expires_at: datetime | None
    status: str
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """One outward action of an occurrence: what is to be done, by reference, and whether it was done."""

    step: str
    state: str
    fence: int
    reference: str
    content: Mapping[str, Any]
    provider_reference: str | None
    intent_at: datetime
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class MailCursor:
    """How far a schedule's digests have come: mail up to ``up_to`` is delivered; ``recent_ids`` lie in the overlap."""

    up_to: datetime
    recent_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a job's body."""

    number: int
    owner: str
    flow_run_id: str | None
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error_class: str | None
    message: str | None
    traceback: str | None
