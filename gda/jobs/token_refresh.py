"""Token refresh: what expires soon is refreshed ahead of time, so that no digest waits for it; once for each expiry.

The same kind carries what follows from a refusal: the news to a user whose grant has died, and the operator's letter
when Google refuses GDA's own client, whose replay lets go everything that was held for it.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, Field

from gda.declare import job_type
from gda.errors import NeedsConsent
from gda.google.http import open_http
from gda.job import Job
from gda.jobs import TOKEN_REFRESH
from gda.jobs.tokens import Tokens
from gda.lifecycle import CLIENT
from gda.notify import Channels, Notice, notify, open_channels
from gda.outcome import Done, Outcome, Skip
from gda.settings import Settings
from gda.store import Credential, Defaults, Expiring, RefreshRules, Store, Waker
from gda.vault import Vault

log = logging.getLogger("gda.jobs")

AHEAD = timedelta(minutes=20)
"""Twice the time between two runs, so that one may fail."""
WORTH = timedelta(hours=24)
"""How long a refresh is tried: whoever needs the token meanwhile refreshes it, whatever becomes of this."""
CHUNK = 100
QUEUE = "default"


class RefreshDue(BaseModel):
    """What an occurrence carries: whose token, or because of which cause somebody is told or let go."""

    user: str = Field("", max_length=64)
    cause: str = Field("", max_length=64)
    since: int = 0


@dataclass(frozen=True, slots=True)
class RefreshTools:
    """What a refresh works with."""

    store: Store
    tokens: Tokens
    channels: Channels


@asynccontextmanager
async def open_tools(settings: Settings, store: Store) -> AsyncIterator[RefreshTools]:
    """Open HTTP client and channels, and close them at the end. Raises UsageError."""
    async with open_http(settings) as http, open_channels(settings, store) as channels:
        yield RefreshTools(store, Tokens(store, Vault.from_settings(settings), http, settings), channels)


async def attend(tools: RefreshTools, job: Job) -> Outcome:
    """Refresh one token, or do what follows from a refusal.

    Raises:
        ClientRefused: Google refuses GDA's client; the operator is told.
        ProviderError: Google, or a channel, refused or failed.
        ClaimLost: another worker has taken the occurrence over.
    """
    due: RefreshDue = job.payload
    if not due.user:
        released, _ = await tools.store.ledger.release(due.cause or CLIENT)
        return Done(f"{len(released)} let go, to be tried again")
    credential = await tools.store.token_refresh.find(due.user)
    if due.cause:
        return await tell(tools, job, credential)
    now = await tools.store.ledger.now()
    if credential is None or (reason := needless(credential, now)):
        return Skip(reason if credential else "the user has gone")
    try:
        await tools.tokens.renew(credential)
    except NeedsConsent:
        return Skip("the grant is dead: the user is told, and must consent again")
    return Done("refreshed")


token_refresh = job_type(
    kind=TOKEN_REFRESH,
    once_per="credential + expiry",
    queue=QUEUE,
    chunk=CHUNK,
    payload=RefreshDue,
    tools=open_tools,
)(attend)
"""The kind as everybody declares one; its own flow promises and performs what is due every ten minutes."""


def needless(credential: Credential, now: datetime) -> str:
    """Why a token need not be refreshed now; empty where it must be.

    Args:
        credential: as it stands.
        now: the store's instant, aware.
    """
    if credential.status != "active":
        return "the user must consent first"
    if credential.expires_at is not None and credential.expires_at > now + AHEAD:
        return "somebody needed it earlier, and refreshed it"
    return ""


async def tell(tools: RefreshTools, job: Job, credential: Credential | None) -> Outcome:
    """Tell a user that GDA has lost access, unless it has it again."""
    if credential is None or credential.status == "active":
        return Skip("the user has consented again")
    told = await notify(tools.channels, job, lost_access(job.payload))
    return Done(f"told through {', '.join(told)}")


def lost_access(due: RefreshDue) -> Notice:
    """What the user is told; the cause is this very loss, so that the next one is told as well."""
    return Notice(
        due.user,
        f"{due.cause}/{due.since}",
        "GDA has no access to your Google account any more",
        "Google ended the access that you granted: it was withdrawn, your password changed, or it lay unused for long. "
        "What GDA does for you with it waits. Grant it again, and what is still worth doing is done: "
        f"gda connect {due.user}",
    )


async def promise_batch(store: Store, settings: Settings, waker: Waker) -> list[Expiring]:
    """Promise one batch of refreshes; empty when nothing expires soon."""
    return await store.token_refresh.promise(rules(settings), waker)


async def reconsider(store: Store) -> int:
    """Let go what was held for a cause that may have cleared meanwhile; returns how many."""
    freed = [*await store.consent.release_answered(), *await store.consent.probe_client()]
    if freed:
        log.info("let go %d that were held for a cause that may have cleared", len(freed))
    return len(freed)


def rules(settings: Settings) -> RefreshRules:
    """How refreshes are promised under these settings."""
    timeout = token_refresh.timeout_under(settings)
    defaults = Defaults(round(timeout.total_seconds()), token_refresh.retry_under(settings).attempts)
    return RefreshRules(TOKEN_REFRESH, QUEUE, defaults, AHEAD, WORTH)


def summary(found: list[Expiring]) -> str:
    """What a run promised, in counts."""
    return f"{sum(one.occurrence_id is not None for one in found)} tokens expire soon"
