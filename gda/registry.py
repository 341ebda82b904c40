"""Which job types there are: GDA's own, those of installed packages, and those that a program registers itself.

An installed package brings a kind through an entry point of the group ``gda.job_types``, named as the kind::

    [project.entry-points."gda.job_types"]
    invoice = "acme_jobs:invoice"

Modules are imported when a kind is first asked for, so that listing kinds costs nothing, and a package that cannot be
imported takes nobody else's kinds away.
"""

import difflib
import logging
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points

from gda.errors import AlreadyExists, UnknownKind, UsageError
from gda.job import JobType
from gda.jobs import PLACES

log = logging.getLogger("gda.registry")

GROUP = "gda.job_types"


class Registry:
    """Job types by kind; nothing is in it that was not put there."""

    def __init__(self) -> None:
        self._types: dict[str, JobType] = {}
        self._aliases: dict[str, str] = {}
        self._unread: dict[str, Callable[[], object]] = {}
        self._problems: dict[str, str] = {}

    def register(self, job_type: JobType) -> JobType:
        """Add a job type under its kind and its aliases.

        Returns:
            The same job type.

        Raises:
            AlreadyExists: its kind or one of its aliases is taken by another.
        """
        for name in (job_type.kind, *job_type.aliases):
            self._require_free(name, job_type)
        self._types[job_type.kind] = job_type
        self._aliases |= dict.fromkeys(job_type.aliases, job_type.kind)
        return job_type

    def announce(self, kind: str, load: Callable[[], object]) -> None:
        """Say that ``load`` gives the job type of ``kind``; it is called when somebody asks for it first.

        Raises:
            AlreadyExists: the kind is taken.
        """
        if kind in self._unread or kind in self._types or kind in self._aliases:
            raise AlreadyExists(_taken(kind, self._aliases.get(kind)))
        self._unread[kind] = load

    def get(self, kind: str) -> JobType:
        """The job type of a kind, or of the kind that once had this name.

        Raises:
            UnknownKind: there is none; the message names the nearest.
        """
        self._read(kind)
        if kind not in self._types:
            # Aliases are known once all are read, which only an unknown name is worth.
            for other in tuple(self._unread):
                self._read(other)
        found = self._types.get(self._aliases.get(kind, kind))
        if found is None:
            raise UnknownKind(self._advice(kind))
        return found

    def kinds(self) -> tuple[str, ...]:
        """All kinds by their present names, sorted; imports nothing."""
        return tuple(sorted({*self._types, *self._unread}))

    def require(self, kind: str) -> str:
        """Give back the present name of a kind. Raises UnknownKind."""
        return kind if kind in self.kinds() else self.get(kind).kind

    def _read(self, kind: str) -> None:
        load = self._unread.pop(kind, None)
        if load is None:
            return
        try:
            self.register(_checked(kind, load()))
        except UsageError as error:
            self._problems[kind] = str(error)
        except Exception as error:  # Somebody else's package; the other kinds go on.
            self._problems[kind] = f"its package cannot be imported ({type(error).__name__})"
        if kind in self._problems:
            log.warning("kind %s is left out: %s", kind, self._problems[kind])

    def _require_free(self, name: str, job_type: JobType) -> None:
        holder = self._types.get(self._aliases.get(name, name))
        if (holder is not None and holder is not job_type) or name in self._unread:
            raise AlreadyExists(_taken(name, self._aliases.get(name)))

    def _advice(self, kind: str) -> str:
        if kind in self._problems:
            return f"kind {kind!r} is left out: {self._problems[kind]}"
        near = difflib.get_close_matches(kind.lower(), (*self.kinds(), *self._aliases), n=1)
        known = ", ".join(self.kinds()) or "none is registered yet"
        advice = f"did you mean {self._aliases.get(near[0], near[0])}?" if near else f"choose one of {known}"
        return f"kind {kind!r} is not registered: {advice}"


def load_registry() -> Registry:
    """GDA's own kinds and those of installed packages (entry-point group ``gda.job_types``), in a registry of its own.

    A package that takes a name which is taken already is left out, with a warning.
    """
    registry = Registry()
    for kind, place in PLACES.items():
        registry.announce(kind, partial(_load, place))
    for entry in entry_points(group=GROUP):
        # An installation from source may list GDA's own kinds here as well.
        if entry.value == PLACES.get(entry.name):
            continue
        try:
            registry.announce(entry.name, entry.load)
        except AlreadyExists as error:
            log.warning("an installed package is left out: %s", error)
    return registry


def _load(place: str) -> object:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _checked(kind: str, found: object) -> JobType:
    if not isinstance(found, JobType):
        raise UsageError(
            f"entry point {kind!r} of group {GROUP} gives a {type(found).__name__}; it must name what @job_type made"
        )
    if found.kind != kind:
        raise UsageError(
            f"entry point {kind!r} of group {GROUP} gives kind {found.kind!r}: name the entry point {found.kind}"
        )
    return found


def _taken(name: str, present: str | None) -> str:
    holder = f", as an earlier name of {present}" if present else ""
    return f"kind {name!r} is registered already{holder}; choose another name or register into a new Registry"
