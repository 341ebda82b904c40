"""The way of an occurrence, top to bottom: a trigger wakes, GDA promises, claims, performs, settles and reports.

A wake-up names a scope, never a slot, so a duplicate, early or late one is harmless: it finds nothing to claim and says
so. ``each`` performs a chunk of claims, which is one claim unless the kind says otherwise: Prefect's glue makes a
Prefect task run of it, ``settle_alone`` needs no Prefect.
"""

import asyncio
import logging
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gda.deaths import tell_of_deaths
from gda.errors import ClaimLost
from gda.feed import Feed
from gda.heartbeat import Heartbeat
from gda.job import Job, JobType
from gda.lifecycle import SETTLED, Claim, Failure, Settlement, Status, decide, describe_failure, outcome_of
from gda.outcome import Done, Fail, Outcome, Retry, Skip
from gda.report import Report, standing_of
from gda.settings import Settings
from gda.store import ByHand, Defaults, Promised, Scope, Store, Target, Waker, Worker

log = logging.getLogger("gda.runner")

Each = Callable[[Sequence[Claim]], Awaitable[Sequence[Status | None]]]
Announce = Callable[[str], Awaitable[None]]

LOST = "taken over by another worker"
FEWEST_LANES = 4
"""Chunks performed at once at least, so that one whose failures wait for another try does not stop the others."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where one flow run works: its store, its job type, and how it may try."""

    store: Store
    job_type: JobType
    settings: Settings
    chance: random.Random = field(default_factory=random.Random)
    stop_signals: tuple[type[BaseException], ...] = (KeyboardInterrupt,)
    """What a signal handler raises to stop this process, wherever it is just then; no job's own doing."""

    @property
    def promise_rules(self) -> Defaults:
        """What the occurrences promised here get: the kind's own timeout and number of attempts."""
        own = self.job_type
        return Defaults(math.ceil(own.timeout.total_seconds()), own.retry.attempts, self.settings.max_runs_per_day)

    @property
    def lanes(self) -> int:
        """How many chunks are performed at once."""
        most = self.settings.concurrency
        return max(most // self.job_type.chunk, min(most, FEWEST_LANES))

    @property
    def at_once(self) -> int:
        """How many of one chunk are attempted at once, so that all lanes together keep to ``concurrency``."""
        return self.settings.concurrency // self.lanes


@dataclass(frozen=True, slots=True)
class WakeUp:
    """Who woke whom for what; ``by_hand`` when a person asked for particular occurrences."""

    scope: Scope
    worker: Worker
    waker: Waker
    by_hand: ByHand | None = None


async def nobody(_: str) -> None:
    """Hear a name and do nothing."""


async def wake(desk: Desk, call: WakeUp, each: Each, announce: Announce = nobody) -> Report:
    """Serve one wake-up: promise, claim, perform, settle, report.

    Args:
        desk: where the work is done.
        call: the wake-up.
        each: performs a chunk of claims to their settlements.
        announce: told the label of the one occurrence that a narrow wake-up serves (``ada 2026-03-08T07:30``).

    Returns:
        What happened, in counts, ids and sentences without content.

    Raises:
        UsageError: a person asked for something that does not exist.
    """
    promised, targets = await promise(desk, call)
    scope, told = aim(call, targets)
    tally: Counter[str] = Counter()
    if label := await _label(desk, call, promised, targets):
        await announce(label)
    if scope is not None:
        async with Heartbeat(desk.settings, desk.store, call.worker):
            try:
                await perform_all(desk, call, scope, each, tally)
            finally:
                # Whatever still has this worker's name when it stops goes back unburnt.
                await desk.store.ledger.hand_back(call.worker)
    if not tally and not told:
        told = await explain(desk, call, targets)
    await tell_of_deaths(desk.store, desk.job_type)
    return Report(dict(tally), promised, tuple(target.occurrence.id for target in targets), told)


async def promise(desk: Desk, call: WakeUp) -> tuple[Promised, list[Target]]:
    """Write down what is due in the scope, and what a person asked for."""
    await desk.store.renames.adopt(desk.job_type.kind, desk.job_type.aliases)
    ledger, rules = desk.store.ledger, desk.promise_rules
    promised = await ledger.promise(call.scope, call.waker, rules)
    if call.by_hand is None:
        return promised, []
    return promised, await ledger.promise_by_hand(call.scope, call.by_hand, call.waker, rules)


def aim(call: WakeUp, targets: Sequence[Target]) -> tuple[Scope | None, tuple[str, ...]]:
    """Decide what to claim (None: nothing), and what to tell about targets that are settled or held already."""
    if call.by_hand is None:
        return call.scope, ()
    open_ids = tuple(t.occurrence.id for t in targets if t.occurrence.status not in (*SETTLED, Status.HELD))
    told = tuple(standing_of(t.occurrence) for t in targets if t.occurrence.id not in open_ids)
    return (replace(call.scope, occurrence_ids=open_ids) if open_ids else None), told


async def explain(desk: Desk, call: WakeUp, targets: Sequence[Target]) -> tuple[str, ...]:
    """Say why a wake-up for one user or for named occurrences found nothing to do: what became of them."""
    if named := [target.occurrence.id for target in targets] or call.scope.occurrence_ids:
        return tuple([standing_of(await desk.store.ledger.get(one)) for one in named])
    if not call.scope.of_one:
        return ()
    latest = await desk.store.history.list(user_id=call.scope.user_id, kind=call.scope.kind, limit=1)
    return ("nothing due", *(standing_of(occurrence) for occurrence in latest))


async def perform_all(desk: Desk, call: WakeUp, scope: Scope, each: Each, tally: Counter[str]) -> None:
    """Claim and perform until nothing of the scope is ready, ``concurrency`` at once; then wait for early ones.

    A drain waits for nobody: after an outage several of them would hold the whole pool for a minute and a half, while
    what they wait for has wake-ups of its own, or the sweep's next drain.
    """
    impatient, chunk = call.by_hand is not None, desk.job_type.chunk
    size = max(desk.settings.claim_size // chunk, 1) * chunk
    while True:
        feed = Feed(desk.store.ledger, scope, call.worker, size, impatient=impatient)

        async def lane(feed: Feed = feed) -> None:
            while claims := await feed.take(chunk):
                tally.update(status or LOST for status in await each(claims))

        async with asyncio.TaskGroup() as lanes:
            for _ in range(desk.lanes):
                lanes.create_task(lane())
        await perform_suspects(desk, call, scope, each, tally)
        if impatient or is_drain(call) or not await wait_for_early(desk, scope):
            return


def is_drain(call: WakeUp) -> bool:
    """Whether it is for everybody's work of a kind, and no schedule's own wake-up."""
    return call.waker.woken_by == "drain" and not call.scope.of_one and call.scope.expression is None


async def perform_suspects(desk: Desk, call: WakeUp, scope: Scope, each: Each, tally: Counter[str]) -> None:
    """Perform one by one, with nothing beside it, what a worker died under: a second death is then its own doing."""
    impatient = call.by_hand is not None
    while suspects := await desk.store.ledger.claim(scope, call.worker, limit=1, impatient=impatient, suspects=True):
        tally.update(status or LOST for status in await each(suspects))


async def wait_for_early(desk: Desk, scope: Scope) -> bool:
    """Wait for an occurrence that becomes ready within the early margin; False when none does."""
    ledger = desk.store.ledger
    ready = await ledger.next_ready(scope)
    if ready is None:
        return False
    wait = ready - await ledger.now()
    if wait > timedelta(seconds=desk.settings.early_seconds):
        return False
    await asyncio.sleep(max(wait.total_seconds(), 0.05))
    return True


async def settle_alone(desk: Desk, claims: Sequence[Claim]) -> list[Status | None]:
    """Perform a chunk without Prefect: attempt, and at once again what the retry policy allows inside a run."""
    endings: dict[str, Status | None] = {}
    left = claims
    for retries_left in range(desk.job_type.retry.in_run_retries, -1, -1):
        tried = await attempt_all(desk, left, may_retry_here=retries_left > 0)
        endings |= {claim.occurrence.id: settlement.status if settlement else None for claim, settlement in tried}
        left = [claim for claim, _ in tried if endings[claim.occurrence.id] is Status.RUNNING]
    assert not left, "the last attempt in a run always settles"
    return [endings[claim.occurrence.id] for claim in claims]


async def attempt_all(
    desk: Desk, claims: Sequence[Claim], *, may_retry_here: bool
) -> list[tuple[Claim, Settlement | None]]:
    """One attempt at each of a chunk, ``desk.at_once`` at a time; in their order, as :func:`attempt` gives them."""
    if len(claims) == 1:
        return [await attempt(desk, claims[0], may_retry_here=may_retry_here)]
    tried: dict[str, tuple[Claim, Settlement | None]] = {}
    waiting = iter(claims)

    async def lane() -> None:
        for claim in waiting:
            tried[claim.occurrence.id] = await attempt(desk, claim, may_retry_here=may_retry_here)

    async with asyncio.TaskGroup() as lanes:
        for _ in range(min(desk.at_once, len(claims))):
            lanes.create_task(lane())
    return [tried[claim.occurrence.id] for claim in claims]


async def attempt(desk: Desk, claim: Claim, *, may_retry_here: bool) -> tuple[Claim, Settlement | None]:
    """One attempt: start, perform, decide, settle.

    Args:
        desk: where the work is done.
        claim: a claim held by this worker.
        may_retry_here: the caller can call again for the same claim.

    Returns:
        The claim as it stands now, and what was written: RUNNING when the caller shall try again, None when another
        worker holds the occurrence.
    """
    ledger = desk.store.ledger
    try:
        number = await ledger.start(claim)
        outcome, failure = await perform(desk, Job(claim, number, lambda: ledger.check(claim)))
        settlement = decide(
            claim.occurrence,
            outcome,
            policy=desk.job_type.retry,
            now=await _instant(desk, outcome, claim),
            chance=desk.chance,
            may_retry_here=may_retry_here,
            failure=failure,
        )
        await ledger.settle(claim, number, settlement)
    except ClaimLost as refusal:
        log.warning("%s", refusal)
        await ledger.note_late(claim)
        return claim, None
    if settlement.burns:
        claim = replace(claim, occurrence=replace(claim.occurrence, burnt=claim.occurrence.burnt + 1))
    await desk.job_type.hooks.settled(claim, settlement)
    return claim, settlement


async def perform(desk: Desk, job: Job) -> tuple[Outcome, Failure | None]:
    """Run the job's body within its timeout and turn whatever it does into an outcome; ClaimLost passes through."""
    limit = job.occurrence.timeout_seconds
    passing: tuple[type[BaseException], ...] = (ClaimLost, asyncio.CancelledError, *desk.stop_signals)
    try:
        async with asyncio.timeout(limit):
            return await desk.job_type.perform(job), None
    except passing:
        raise
    except TimeoutError as error:
        return Retry(f"the attempt took longer than {limit} s", timed_out=True), describe_failure(error)
    except Exception as error:  # Whatever a job raises, its occurrence settles and its neighbours go on.
        return outcome_of(error, await desk.store.ledger.now()), describe_failure(error)
    except BaseException as error:  # SystemExit and the like: meant to end the process, and so everybody's work.
        return Fail(f"it raised {type(error).__name__}, which ends a process", poison=True), describe_failure(error)


async def _label(desk: Desk, call: WakeUp, promised: Promised, targets: Sequence[Target]) -> str | None:
    if not call.scope.of_one:
        return None
    if targets:
        return targets[0].occurrence.label
    return (await desk.store.ledger.get(promised.scheduled[0])).label if promised.scheduled else None


async def _instant(desk: Desk, outcome: Outcome, claim: Claim) -> datetime:
    # Only endings that come back need the time; the others save the question.
    return claim.occurrence.due_at if isinstance(outcome, Done | Skip) else await desk.store.ledger.now()
