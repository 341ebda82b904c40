"""The job types GDA brings, one file each."""

DIGEST = "digest"


def kinds() -> tuple[str, ...]:
    """The kinds that can be scheduled, by their stable names."""
    return (DIGEST,)
