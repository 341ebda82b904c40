"""How occurrences are performed: what all workers must agree on so that leases, retries and digests mean the same.

Layout and pool are here for the nightly apply, which any worker of the system pool may run.
"""

from collections.abc import Mapping
from typing import Any

from prefect.blocks.core import Block

from blocks.fields import as_settings, of_settings, same
from gda.settings import Layout, Settings

DOCUMENT = "gda-options"
SETTINGS: Mapping[str, str] = {
    name: name
    for name in (
        *(
            "concurrency",
            "claim_size",
            "shard_size",
            "shard_runs",
            "crowd",
            "early_seconds",
            "lease_seconds",
            "lease_refresh_seconds",
        ),
        *("memory_limit_mebibytes", "sweep_grace_seconds", "retention_days", "dead_letter_retention_days"),
        *("timeout_seconds", "retry_attempts", "retry_delay_seconds", "retry_multiplier"),
        *("retry_max_delay_seconds", "run_retries"),
        *("digest_first_window_hours", "digest_overlap_minutes", "digest_max_messages"),
        *("overdue_notify", "reminder_late_seconds", "reminder_expire_seconds", "notify_mail"),
        *("prefect_pool", "limits", "limit_wait_seconds", "layout", "max_cohorts"),
    )
}


class RunOptions(Block):
    """Concurrency, leases, retries and the digest's bounds, the same on every worker."""

    _block_type_name = "GDA run options"
    _block_type_slug = "gda-run-options"
    _description = "Concurrency, leases, retries and the digest's bounds, the same on every worker of GDA."

    concurrency: int = same("concurrency")
    claim_size: int = same("claim_size")
    shard_size: int = same("shard_size")
    shard_runs: int = same("shard_runs")
    crowd: int = same("crowd")
    early_seconds: int = same("early_seconds")
    lease_seconds: int = same("lease_seconds")
    lease_refresh_seconds: float = same("lease_refresh_seconds")
    memory_limit_mebibytes: int = same("memory_limit_mebibytes")
    sweep_grace_seconds: int = same("sweep_grace_seconds")
    retention_days: int = same("retention_days")
    dead_letter_retention_days: int = same("dead_letter_retention_days")
    timeout_seconds: int = same("timeout_seconds")
    retry_attempts: int = same("retry_attempts")
    retry_delay_seconds: float = same("retry_delay_seconds")
    retry_multiplier: float = same("retry_multiplier")
    retry_max_delay_seconds: float = same("retry_max_delay_seconds")
    run_retries: int = same("run_retries")
    digest_first_window_hours: int = same("digest_first_window_hours")
    digest_overlap_minutes: int = same("digest_overlap_minutes")
    digest_max_messages: int = same("digest_max_messages")
    overdue_notify: bool = same("overdue_notify")
    reminder_late_seconds: int = same("reminder_late_seconds")
    reminder_expire_seconds: int = same("reminder_expire_seconds")
    notify_mail: bool = same("notify_mail")
    prefect_pool: str = same("prefect_pool")
    limits: str = same("limits")
    limit_wait_seconds: float = same("limit_wait_seconds")
    layout: Layout = same("layout")
    max_cohorts: int = same("max_cohorts")


BLOCK = RunOptions


def make(settings: Settings) -> RunOptions:
    """The block that carries the settings."""
    return RunOptions(**of_settings(SETTINGS, settings))


def read(data: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a block document holds."""
    return as_settings(SETTINGS, data)
