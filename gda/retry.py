"""How long to wait before the next attempt: pure arithmetic over frozen values."""

import random
from dataclasses import dataclass
from datetime import timedelta

from gda.settings import Settings


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter, bounded by a number of attempts.

    Full jitter (a uniform draw between zero and the exponential bound) spreads a herd of failed occurrences best; see
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    attempts: int = 10
    delay: timedelta = timedelta(seconds=30)
    multiplier: float = 2.0
    max_delay: timedelta = timedelta(hours=1)
    in_run_retries: int = 2

    @classmethod
    def from_settings(cls, settings: Settings) -> "RetryPolicy":
        """The policy that ``GDA_RETRY_*`` and ``GDA_RUN_*`` describe."""
        return cls(
            attempts=settings.retry_attempts,
            delay=timedelta(seconds=settings.retry_delay_seconds),
            multiplier=settings.retry_multiplier,
            max_delay=timedelta(seconds=settings.retry_max_delay_seconds),
            in_run_retries=settings.run_retries,
        )

    def bound(self, burnt: int) -> timedelta:
        """The longest wait after ``burnt`` burnt attempts (at least 1), never above ``max_delay``."""
        exponent = min(burnt - 1, 64)
        return min(self.delay * self.multiplier**exponent, self.max_delay) if exponent < 40 else self.max_delay

    def wait(self, burnt: int, *, retry_after: timedelta | None, chance: random.Random) -> timedelta:
        """How long to wait after ``burnt`` burnt attempts.

        Args:
            burnt: attempts that count so far in this life of the occurrence, at least 1.
            retry_after: what the provider asked for; it is a floor and may exceed ``max_delay``.
            chance: source of the jitter, passed in so that a run can be repeated.

        Returns:
            A wait between the floor and floor plus the exponential bound.
        """
        jitter = self.bound(burnt) * chance.random()
        return jitter if retry_after is None else retry_after + min(jitter, timedelta(seconds=30))
