"""``gda stats``: how each kind fared of late."""

from datetime import timedelta
from typing import TYPE_CHECKING

from gda.cli.durations import duration
from gda.cli.kinds import require_kind
from gda.cli.output import Json, Row, show_json, show_rows
from gda.cli.run import say, store
from gda.errors import UsageError

if TYPE_CHECKING:
    from gda.store.stats import KindStats, Percentiles

LONGEST = timedelta(days=3650)


async def stats(*, kind: str | None = None, since: str = "24h", json: Json = False) -> None:
    """Show per kind what was due and what became of it, how long attempts took, and how late they began.

    Durations are in seconds: half, 95 and 99 in a hundred took no longer.

    Args:
        kind: Only this one.
        since: How far back, such as 30m, 24h or 7d.
        json: Print JSON.
    """
    window = _window(since)
    wanted = require_kind(kind) if kind else None
    async with store() as opened:
        found = await opened.stats.kinds(kind=wanted, since=window)
    if json:
        show_json({"since_seconds": window.total_seconds(), "kinds": found})
        return
    show_rows([_row(each) for each in found], empty=f"nothing was due or tried in the last {since}")
    if found:
        say("took, late: seconds that 50 / 95 / 99 in a hundred did not exceed")


def _window(since: str) -> timedelta:
    window = duration(since)
    if not timedelta(0) < window <= LONGEST:
        raise UsageError(f"--since {since}: give more than 0s and at most {LONGEST.days}d")
    return window


def _row(one: "KindStats") -> Row:
    return {
        "kind": one.kind,
        "occurrences": ", ".join(f"{number} {status}" for status, number in one.counts.items()),
        "attempts": one.attempts,
        "took": _spread(one.duration),
        "late": _spread(one.lateness),
    }


def _spread(measured: "Percentiles | None") -> str:
    return f"{measured.p50:.1f} / {measured.p95:.1f} / {measured.p99:.1f}" if measured else ""
