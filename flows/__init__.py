"""Prefect flows, one short module per kind of background work."""
