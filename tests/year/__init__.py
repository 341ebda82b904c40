"""A simulated year: users, Prefect and faults played on a virtual clock over the real plan, ledger and sweep."""
