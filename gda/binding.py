"""From a declared job type to one that is ready to run: tools bound, payload read, middleware and hooks around it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial, reduce
from typing import Any

from pydantic import BaseModel, ValidationError

from gda.body import Job, Middleware, Perform
from gda.declare import asynchronous
from gda.errors import UsageError
from gda.job import JobType
from gda.middleware import STANDARD
from gda.middleware.timeout import within
from gda.outcome import Outcome
from gda.settings import Settings


@asynccontextmanager
async def opened(
    job_type: JobType, settings: Settings, store: Any, *, middleware: Sequence[Middleware] = STANDARD
) -> AsyncIterator[JobType]:
    """Open a job type's tools, where it has any, and give it ready to run; the tools are closed at the end.

    Args:
        job_type: as it was declared.
        settings: the installation's.
        store: the open store.
        middleware: what stands around every kind, outermost first.

    Raises:
        Exception: whatever opening the tools raises.
    """
    if job_type.tools is None:
        yield bind(job_type, settings, middleware=middleware)
        return
    async with job_type.tools(settings, store) as tools:
        yield bind(job_type, settings, tools, middleware=middleware)


def bind(
    job_type: JobType, settings: Settings, tools: object = None, *, middleware: Sequence[Middleware] = STANDARD
) -> JobType:
    """Give a job type whose ``perform`` may be called.

    From the outside in: ``middleware``, the hooks, the kind's own middleware, its timeout, its payload, its body.

    Args:
        job_type: as it was declared.
        settings: where retry policy and timeout come from when the kind declares none.
        tools: what the body takes before the job, where the kind has tools.
        middleware: what stands around every kind, outermost first.
    """
    perform = job_type.perform
    if job_type.tools is not None and job_type.body is not None:
        perform = partial(asynchronous(job_type.body), tools)
    if job_type.payload is not None:
        perform = _with_payload(job_type.payload, perform)
    around = [*middleware, job_type.hooks.observe, *job_type.middleware]
    if "timeout" not in job_type.inherits:
        around.append(within(job_type.timeout))
    return replace(
        job_type,
        perform=compose(around, perform),
        retry=job_type.retry_under(settings),
        timeout=job_type.timeout_under(settings),
        inherits=frozenset(),
    )


def compose(middleware: Sequence[Middleware], perform: Perform) -> Perform:
    """Put middleware around a body, the first outermost."""
    return reduce(_around, reversed(middleware), perform)


def read_payload(model: type[BaseModel], payload: object) -> BaseModel:
    """A payload as the kind's model.

    Raises:
        UsageError: it does not fit; the message names the fields and the rules, never the values.
    """
    try:
        return model.model_validate(payload if payload is not None else {})
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'payload'}: {fault['type']}"
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        )
    # Outside the handler, so that the error with the values is not carried along.
    raise UsageError(f"the payload does not fit {model.__name__} ({faults}); correct it and enqueue or replay it")


def _around(call_next: Perform, middleware: Middleware) -> Perform:
    async def perform(job: Job) -> Outcome:
        return await middleware(job, call_next)

    return perform


def _with_payload(model: type[BaseModel], perform: Callable[[Job], Awaitable[Outcome]]) -> Perform:
    async def read_and_perform(job: Job) -> Outcome:
        return await perform(replace(job, payload=read_payload(model, job.occurrence.payload)))

    return read_and_perform
