"""How a kind of work is declared: ``@job_type`` makes a job type of a function."""

import asyncio
import difflib
import inspect
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import wraps
from typing import Any

from pydantic import BaseModel

from gda.body import Job, Middleware
from gda.errors import UsageError
from gda.hooks import NO_HOOKS, Hooks
from gda.job import JobType
from gda.outcome import Done, Outcome
from gda.retry import RetryPolicy

QUEUES = ("critical", "default", "bulk")
KIND = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_KIND = 64
FLOW = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
LARGEST_CHUNK = 200
"""DESIGN 1.4: kinds with floods of tiny occurrences run a chunk of up to 200 per Prefect task."""


def job_type(
    *,
    kind: str,
    once_per: str = "slot",
    retry: RetryPolicy | None = None,
    timeout: timedelta | None = None,
    queue: str = "default",
    chunk: int = 1,
    crowd_chunk: int = 1,
    payload: type[BaseModel] | None = None,
    aliases: Sequence[str] = (),
    hooks: Hooks = NO_HOOKS,
    middleware: Sequence[Middleware] = (),
    tools: Callable[..., AbstractAsyncContextManager[Any]] | None = None,
    flow: str | None = None,
) -> Callable[[Callable[..., Any]], JobType]:
    """Make a job type of a function that takes the job, or the tools and the job, and returns an outcome.

    A function that is not asynchronous runs in a thread. One that returns None is done.

    Args:
        kind: stable name, in words of lower-case letters and digits joined by hyphens: ``invoice-reminder``.
        once_per: for people: what makes two occurrences the same (``slot``, ``invoice``).
        retry: how often and how patiently it is tried; the installation's ``GDA_RETRY_*`` when not given.
        timeout: of one attempt; the installation's ``GDA_TIMEOUT_SECONDS`` when not given.
        queue: critical, default or bulk.
        chunk: up to so many occurrences, 1 to 200, share one Prefect task run: for floods of tiny ones, whose own task
            runs would cost more than they do. Each keeps its own attempts, lease and ending.
        crowd_chunk: the same, but only where one flow run finds more than ``GDA_CROWD`` of them: for kinds that are
            worth a task run each until there are too many to look at.
        payload: pydantic model of what an enqueued occurrence carries; ``job.payload`` is an instance of it.
        aliases: earlier names of the kind, under which rows may still lie.
        hooks: functions to tell of the kind's jobs.
        middleware: what stands around the body, outermost first.
        tools: called with settings and store, gives an async context manager of what the body takes before the job.
        flow: the kind's own Prefect flow as ``package.module.function``, for the deployments of users' schedules; the
            generic ``run-job`` performs them when not given.

    Returns:
        A decorator whose result is a JobType; register it, or name it by an entry point of ``gda.job_types``.

    Raises:
        UsageError: a name, queue, chunk, timeout or flow breaks a rule, or the function takes other arguments.
    """
    for name in (kind, *aliases):
        _require_name(name)
    _require_distinct(kind, aliases)
    if flow is not None and not FLOW.fullmatch(flow):
        raise UsageError(f"flow {flow!r} of kind {kind!r}: write package.module.function, with dots")
    _require_queue(queue)
    for name, size in (("chunk", chunk), ("crowd_chunk", crowd_chunk)):
        _require_chunk(kind, name, size)
    if timeout is not None and timeout <= timedelta(0):
        raise UsageError(f"timeout {timeout} of kind {kind!r}: an attempt needs more than no time")
    own = {"retry": retry, "timeout": timeout}
    inherits = frozenset(name for name, value in own.items() if value is None)

    def declare(body: Callable[..., Any]) -> JobType:
        _require_arguments(kind, body, ("tools", "job") if tools else ("job",))
        return JobType(
            kind=kind,
            perform=_needs_tools(kind) if tools else asynchronous(body),
            retry=retry or RetryPolicy(),
            payload=payload,
            timeout=timeout or timedelta(minutes=5),
            queue=queue,
            chunk=chunk,
            crowd_chunk=crowd_chunk,
            once_per=once_per,
            aliases=tuple(aliases),
            hooks=hooks,
            middleware=tuple(middleware),
            body=body,
            tools=tools,
            flow=flow,
            inherits=inherits,
        )

    return declare


def asynchronous(body: Callable[..., Any]) -> Callable[..., Any]:
    """The body as a coroutine function that gives an outcome; what is not asynchronous runs in a thread."""

    @wraps(body)
    async def perform(*arguments: Any) -> Outcome:
        if inspect.iscoroutinefunction(body):
            outcome = await body(*arguments)
        else:
            outcome = await asyncio.to_thread(body, *arguments)
        return Done() if outcome is None else _require_outcome(body, outcome)

    return perform


def _needs_tools(kind: str) -> Callable[[Job], Any]:
    async def perform(job: Job) -> Outcome:
        raise UsageError(f"kind {kind!r} needs its tools: run what `gda.binding.opened` gives")

    return perform


def _require_outcome(body: Callable[..., Any], outcome: object) -> Outcome:
    if not isinstance(outcome, Outcome):
        raise UsageError(
            f"{body.__qualname__} returned a {type(outcome).__name__}; a job returns Done, Skip, Retry, Snooze, Hold, "
            "Fail (gda.outcome) or nothing"
        )
    return outcome


def _require_name(name: str) -> None:
    if not KIND.fullmatch(name) or len(name) > LONGEST_KIND:
        words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower())
        advice = f"; write {'-'.join(words)}" if words and words[0][0].isalpha() else ""
        raise UsageError(
            f"kind {name!r}: a kind is words of lower-case letters and digits joined by hyphens, "
            f"at most {LONGEST_KIND} characters{advice[: LONGEST_KIND + 8]}"
        )


def _require_distinct(kind: str, aliases: Sequence[str]) -> None:
    if len({kind, *aliases}) <= len(aliases):
        raise UsageError(
            f"kind {kind!r} has the aliases {', '.join(aliases)}: name each earlier name once, and not the kind itself"
        )


def _require_queue(queue: str) -> None:
    if queue not in QUEUES:
        near = difflib.get_close_matches(queue.lower(), QUEUES, n=1)
        advice = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(QUEUES)}"
        raise UsageError(f"queue {queue!r} does not exist: {advice}")


def _require_chunk(kind: str, name: str, size: int) -> None:
    if not 1 <= size <= LARGEST_CHUNK:
        raise UsageError(f"{name} {size} of kind {kind!r}: from 1 to {LARGEST_CHUNK} occurrences share a task run")


def _require_arguments(kind: str, body: Callable[..., Any], wanted: tuple[str, ...]) -> None:
    try:
        inspect.signature(body).bind(*wanted)
    except TypeError:
        raise UsageError(
            f"the body of kind {kind!r} takes {inspect.signature(body)}; it is called with ({', '.join(wanted)})"
        ) from None
