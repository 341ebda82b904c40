"""Triggers: how schedules become Prefect deployments. Flows are named by entry point, never imported."""
