"""The job types GDA brings, one file each."""

DIGEST = "digest"

PLACES = {DIGEST: "gda.jobs.digest:digest"}
"""Where each kind is declared; read when the kind is first used, since its module imports a good deal."""


def kinds() -> tuple[str, ...]:
    """The kinds that GDA brings, by their stable names."""
    return tuple(PLACES)
