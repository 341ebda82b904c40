"""An outage of everything: Prefect's server and all workers are killed and come back an hour late."""
