"""Kinds that were renamed: whatever lies in a database under their earlier names is written over to the present ones.

A wake-up and an enqueue do so for their own kind. This does it for all kinds at once, for the commands that bring an
installation up to date.
"""

from gda.errors import UnknownKind
from gda.registry import Registry
from gda.store import Store


async def adopt_renamed(store: Store, registry: Registry) -> list[tuple[str, str]]:
    """Write over everything stored under an earlier name of a kind.

    Args:
        store: the database.
        registry: knows the kinds; only an unknown name makes it import their packages.

    Returns:
        Pairs of earlier and present name; what no kind claims stays as it is.
    """
    adopted: list[tuple[str, str]] = []
    for name in sorted(await store.renames.stored() - set(registry.kinds())):
        try:
            job_type = registry.get(name)
        except UnknownKind:
            continue
        await store.renames.adopt(job_type.kind, job_type.aliases)
        adopted.append((name, job_type.kind))
    return adopted
