"""The only part of `gda` that knows Prefect: it wakes, names and reports runs; the ledger decides."""
