"""Capacity: the busiest minutes of the coming week, and what they cost in each layout on the pool's limit (pure)."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from deployments.due_minutes import Span, due_minutes, minute_at
from deployments.spec import readable
from gda.settings import Layout, Settings
from gda.store.cohorts import Cohort

WEEK = timedelta(days=7)
START_SECONDS = 5.0
"""A process worker's start of one flow run: 3 to 9 s were measured with Prefect 3.8 on two cores (DESIGN 1.4)."""
PER_SECOND = 15.0
"""Digests a second of one flow run's process; 33 were measured in two processes on two cores (``make bench``)."""


@dataclass(frozen=True, slots=True)
class Busy:
    """One minute (aware UTC), how many occurrences are due in it, and of how many flow runs in each layout."""

    at: datetime
    occurrences: int
    user_runs: int
    cohort_runs: int

    def seconds(self, layout: Layout, pool_limit: int) -> float:
        """About how long until the last one is performed, with ``pool_limit`` flow runs at once."""
        runs = self.user_runs if layout == "user" else self.cohort_runs
        at_once = min(runs, pool_limit)
        return math.ceil(runs / pool_limit) * START_SECONDS + self.occurrences / (PER_SECOND * max(at_once, 1))

    def crowded(self, layout: Layout, pool_limit: int) -> bool:
        """Whether the last one is performed after the minute is over."""
        return self.seconds(layout, pool_limit) > 60

    def line(self, pool_limit: int) -> str:
        """The minute for people."""
        user, cohort = (_span(self.seconds(layout, pool_limit)) for layout in ("user", "cohort"))
        return (
            f"{self.at:%a %Y-%m-%d %H:%M}Z: {self.occurrences} due; layout user {self.user_runs} runs, {pool_limit} at "
            f"once, about {user}; layout cohort {self.cohort_runs} runs, about {cohort}"
        )

    def to_json(self, pool_limit: int) -> dict[str, Any]:
        """The minute as JSON values; times in seconds."""
        return {
            "at": self.at.isoformat(),
            "occurrences": self.occurrences,
            "user": {"runs": self.user_runs, "seconds": round(self.seconds("user", pool_limit), 1)},
            "cohort": {"runs": self.cohort_runs, "seconds": round(self.seconds("cohort", pool_limit), 1)},
        }


def busiest(cohorts: Iterable[Cohort], settings: Settings, now: datetime, n: int = 3) -> list[Busy]:
    """The ``n`` busiest minutes of the week from ``now`` (aware), busiest first; of equals the earliest.

    Args:
        cohorts: who is due when; schedules that no longer parse are left out.
        settings: ``shard_size`` and ``shard_runs``.
        now: where the week begins.
        n: how many.
    """
    due: Counter[int] = Counter()
    runs: defaultdict[int, int] = defaultdict(int)
    span = Span(now, now + WEEK)
    read = lru_cache(maxsize=None)(readable)  # Thousands of cohorts share an expression.
    for one in cohorts:
        expression = read(one.expression)
        if expression is None:
            continue
        together = min(math.ceil(one.members / settings.shard_size), 1 + settings.shard_runs)
        for minute in due_minutes(expression, one.timezone, span):
            due[minute] += one.members
            runs[minute] += together
    ranked = sorted(due, key=lambda minute: (-due[minute], minute))[:n]
    return [Busy(minute_at(minute), due[minute], due[minute], runs[minute]) for minute in ranked]


def advice(busy: Iterable[Busy], settings: Settings) -> str | None:
    """What to do when the layout in use cannot serve its busiest minute in time; None where it can."""
    limit, layout = settings.prefect_pool_limit, settings.layout
    crowded = [one for one in busy if one.crowded(layout, limit)]
    if not crowded:
        return None
    late = f"{crowded[0].occurrences} due in one minute take about {_span(crowded[0].seconds(layout, limit))}"
    if layout == "user" and crowded[0].seconds("cohort", limit) < crowded[0].seconds("user", limit) / 2:
        return f"{late}: GDA_LAYOUT=cohort would take about {_span(crowded[0].seconds('cohort', limit))}"
    return f"{late}: raise GDA_PREFECT_POOL_LIMIT, start workers on more machines, or spread the schedules"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest if not hours else 0, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"
