"""A flow run's batch: each chunk of claimed occurrences, one for most kinds, becomes a named Prefect task run.

Prefect records the parameters of a task run, so a task gets a label and the id of the chunk's first occurrence; the
claims behind it are looked up in the batch that the running flow opened.
"""

import gc
import logging
import signal
from collections.abc import Awaitable, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, cast

from prefect import Task
from prefect.client.schemas.objects import State
from prefect.context import TaskRunContext
from prefect.exceptions import TerminationSignal
from prefect.states import Failed

from gda.errors import UsageError
from gda.glue.chunks import Chunk
from gda.glue.commands import heed_before
from gda.glue.dead_letter_news import announce_deaths
from gda.glue.limits import in_turn
from gda.glue.runs import Request, close_abandoned_runs, flow_state, name_run, wake_up
from gda.glue.shards import prepare
from gda.lifecycle import Claim, Status
from gda.report import Report
from gda.runner import Desk, WakeUp, attempt_all, wake
from gda.stopping import stopped_by

_running: ContextVar["Batch"] = ContextVar("gda_batch")

OccurrenceTask = Task[[str, str], Any]


class Batch:
    """The occurrences that one flow run performs, each chunk of them through ``task(label, occurrence_id)``."""

    def __init__(self, desk: Desk, task: OccurrenceTask) -> None:
        self._desk = desk
        self._task = task
        self._chunks: dict[str, Chunk] = {}

    async def perform(self, claims: Sequence[Claim]) -> list[Status | None]:
        """Run the Prefect task for a chunk of claims to their settlements; None where another worker took over.

        Raises:
            Exception: the ledger itself failed, so the batch cannot go on.
        """
        chunk = Chunk(claims)
        self._chunks[chunk.name] = chunk
        running: Awaitable[State[Any]] = cast(Any, self._task)(chunk.label, chunk.name, return_state=True)
        state = await running
        del self._chunks[chunk.name]
        if not chunk.ended:
            await state.aresult()
        return chunk.endings()

    async def attempt(self, occurrence_id: str) -> State[None]:
        """One round of attempts, called by the task's body; the state says whether Prefect shall run the task again."""
        chunk = self._chunks[occurrence_id]
        return chunk.note(await attempt_all(self._desk, chunk.left, may_retry_here=self._may_retry_here()))

    def _may_retry_here(self) -> bool:
        context = TaskRunContext.get()
        retries = min(self._task.retries, self._desk.job_type.retry.in_run_retries)
        return context is not None and context.task_run.run_count <= retries


async def run_batch(desk: Desk, request: Request, task: OccurrenceTask) -> State[None]:
    """Serve the running flow's wake-up.

    Args:
        desk: store, job type and settings.
        request: what the flow run was asked for.
        task: the Prefect task whose body calls :func:`attempt_in_batch`.

    Returns:
        The flow run's final state, which says what happened.
    """
    desk = replace(desk, stop_signals=(*desk.stop_signals, TerminationSignal))
    loosen_collector()
    quieten_endings()
    try:
        report = await serve(desk, wake_up(request), task)
    except UsageError as error:
        return Failed(name="Refused", message=str(error))
    if report.dead:
        await announce_deaths(desk.store)
    return flow_state(report)


async def serve(desk: Desk, call: WakeUp, task: OccurrenceTask) -> Report:
    """Clear up, heed what was asked of this run, see how much there is to do, and do it in turn."""
    await close_abandoned_runs(desk.store)
    await heed_before(call, desk.store, desk.settings)
    desk = await prepare(desk, call)
    batch = Batch(desk, task)
    token = _running.set(batch)
    try:
        async with (
            stopped_by(signal.SIGTERM, lambda: TerminationSignal(signal=signal.SIGTERM)),
            in_turn(call.scope.kind, desk.settings),
        ):
            return await wake(desk, call, batch.perform, announce=name_run)
    finally:
        _running.reset(token)


def loosen_collector() -> None:
    """Let Python's cyclic garbage collector look less often in this process, which lives for one flow run.

    A batch makes many short-lived objects beside those of the imported modules, which the collector would visit again
    and again. Measured on 500 digests without Prefect, at twice these thresholds: 22 to 26 instead of 29 to 30 ms.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def quieten_endings() -> None:
    """Stop this process from logging the ends of task runs that went well: their states say the same.

    In a batch of thousands those lines hide the others, and cost the flow run 4.5 % of its CPU (Prefect 3.8.8).
    """
    logging.getLogger("prefect.task_runs").addFilter(_tells_more_than_an_ending)


def _tells_more_than_an_ending(record: logging.LogRecord) -> bool:
    return record.funcName != "log_finished_message" or record.levelno > logging.INFO


async def attempt_in_batch(occurrence_id: str) -> State[None]:
    """One attempt at a chunk of the running flow's batch, named by an occurrence; the body of a kind's Prefect task."""
    return await _running.get().attempt(occurrence_id)
