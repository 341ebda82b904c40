"""Prefect blocks: configuration at rest, the same on every worker."""
