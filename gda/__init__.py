"""GDA: the background work of a personal assistant on Prefect, for each user once per due time."""

__version__ = "0.1.0"
