"""``gda plan`` and ``gda apply``: Prefect's deployments follow the schedules."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gda.cli.kept_plan import require_same, save_plan
from gda.cli.kinds import adopt_earlier_names
from gda.cli.output import Flag, Json, show_json
from gda.cli.run import FAILED, confirm, report_failure, say, settings, store
from gda.cli.runs import prefect_client
from gda.errors import Unavailable

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

    from deployments.apply import Applied
    from deployments.plan import Plan
    from gda.settings import Settings
    from gda.store import Cohort, Store

CHANGES = 2
Layout = Literal["user", "cohort"]


async def plan(
    *,
    layout: Layout | None = None,
    prune: Flag = False,
    save: Path | None = None,
    detailed_exitcode: Flag = False,
    json: Json = False,
) -> int:
    """Show what `gda apply` would change in Prefect; nothing is written.

    Args:
        layout: How schedules become deployments: one per user and kind, or one per cohort of those who share a time;
            GDA_LAYOUT when left out.
        prune: Delete cohorts that nobody is in any more, as the nightly apply does.
        save: Keep the plan in this file, for `gda apply --plan`.
        detailed_exitcode: Exit with 0 for no change, 2 for changes, 1 for any error.
        json: Print JSON.
    """
    from deployments.capacity import advice, busiest

    try:
        given = _laid_out(layout)
        async with store() as opened, prefect_client() as client:
            cohorts = await opened.cohorts.all()
            found = await make_plan(opened, client, given, prune=prune, cohorts=cohorts)
            busy = busiest(cohorts, given, await opened.ledger.now())
    except Exception as error:
        if not detailed_exitcode:
            raise
        report_failure(error)
        return FAILED
    if save is not None:
        save_plan(found, save)
    limit = given.prefect_pool_limit
    if json:
        show_json({**found.to_json(), "busiest": [minute.to_json(limit) for minute in busy]})
    else:
        print("\n".join([*found.lines(), *(f"busy {minute.line(limit)}" for minute in busy)]))
    if warning := advice(busy, given):
        say(f"warning: {warning}")
    return CHANGES if detailed_exitcode and found.changes else 0


async def apply(
    *,
    system: Flag = False,
    layout: Layout | None = None,
    prune: Flag = False,
    plan: Path | None = None,
    yes: Flag = False,
    json: Json = False,
) -> None:
    """Bring Prefect's deployments in line with schedules and settings; what does not differ is not touched.

    Args:
        system: Make work pools, queues, blocks and the system jobs of prefect.yaml instead; needed once, first.
        layout: How schedules become deployments: one per user and kind, or one per cohort of those who share a time;
            GDA_LAYOUT when left out.
        prune: Delete cohorts that nobody is in any more, as the nightly apply does.
        plan: Do what `gda plan --save` has kept, and nothing when that is not what is to be done now.
        yes: Delete deployments of users who are gone without asking.
        json: Print JSON.
    """
    given = _laid_out(layout)
    if system:
        async with prefect_client() as client:
            done = await _apply_system(client, given)
    else:
        from deployments.pauses import keep_pauses
        from deployments.planning import applying

        async with store(given) as opened, prefect_client() as client, applying(opened, given) as leader:
            await adopt_earlier_names(opened)
            found = await make_plan(opened, client, given, prune=prune)
            await _require_pool(client, given)
            if plan is not None:
                require_same(found, plan)
            elif found.delete:
                gone = ", ".join(one.spec.title for one in found.delete)
                confirm(f"{len(found.delete)} deployments will be deleted: {gone}.", yes=yes)
            leader.require()
            for kept in await keep_pauses(opened, found):
                say(
                    f"{kept.kind} of {kept.user_id} was paused in Prefect and stays so: `gda schedule resume` ends that"
                )
            done = await apply_plan(found, client)
    if json:
        show_json(done)
    else:
        print(f"{done.created} created, {done.updated} updated, {done.deleted} deleted, {done.unchanged} unchanged")


async def make_plan(
    opened: "Store",
    client: "PrefectClient",
    given: "Settings",
    *,
    prune: bool = False,
    cohorts: "Sequence[Cohort] | None" = None,
) -> "Plan":
    """Compare schedules and system jobs with what Prefect has. Raises Unavailable, UsageError.

    The system jobs are compared too, because ``prefect deploy --all`` puts the crons and switches of prefect.yaml in
    the place of the settings'.
    """
    from deployments.planning import make_plan as compare
    from deployments.system import find_file, read_system_specs

    system = read_system_specs(find_file(), given)
    return await compare(opened, client, given, system=system, prune=prune, cohorts=cohorts)


def _laid_out(layout: Layout | None) -> "Settings":
    given = settings()
    return given.model_copy(update={"layout": layout}) if layout else given


async def apply_plan(found: "Plan", client: "PrefectClient") -> "Applied":
    """Carry out a plan, showing progress. Raises Unavailable."""
    from deployments.apply import apply as carry_out

    with _progress(found.changes) as advance:
        return await carry_out(found, client, on_progress=advance)


async def _apply_system(client: "PrefectClient", given: "Settings") -> "Applied":
    from deployments.system import apply_system, find_file

    return await apply_system(client, given, find_file(), on_progress=say)


async def _require_pool(client: "PrefectClient", given: "Settings") -> None:
    from prefect.exceptions import ObjectNotFound

    try:
        await client.read_work_pool(given.prefect_pool)
    except ObjectNotFound:
        raise Unavailable(
            f"Prefect has no work pool {given.prefect_pool!r} yet: run `gda apply --system` first"
        ) from None


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    if not (sys.stderr.isatty() and total):
        yield say
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("deployments", total=total)
        yield lambda _line: progress.advance(task)
