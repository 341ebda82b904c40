"""The flows that serve job types, found by entry point as a Prefect worker finds them."""

import logging
from dataclasses import replace
from functools import cache
from typing import Any

from deployments.spec import KindSpec
from gda.errors import UnknownKind
from gda.job import JobType
from gda.registry import Registry, load_registry

log = logging.getLogger("gda.deployments")

GENERIC = "flows.run_job.run_job"
"""Serves every kind that names no flow of its own. Like all it is a module's: nothing need be pulled (DESIGN 10)."""


def load_kinds(registry: Registry | None = None) -> dict[str, KindSpec]:
    """The flow of every kind, under its present name and its earlier ones.

    Imports the flows and the packages that bring kinds, which takes seconds the first time. A kind whose package or
    flow cannot be imported is left out with a warning, so that it takes nobody else's deployments away.

    Args:
        registry: whose kinds; GDA's own and those of installed packages when not given.
    """
    registry = registry or load_registry()
    found: dict[str, KindSpec] = {}
    for kind in registry.kinds():
        try:
            job_type = registry.get(kind)
            spec = kind_spec(job_type)
        except UnknownKind as error:
            log.warning("kind %s gets no deployments: %s", kind, error)
            continue
        found |= dict.fromkeys((job_type.kind, *job_type.aliases), spec)
    return found


def kind_spec(job_type: JobType) -> KindSpec:
    """The flow of one kind. Raises UnknownKind when its entry point names none."""
    spec = load_kind(job_type.flow or GENERIC)
    return replace(spec, kind=job_type.kind, generic=job_type.flow is None, earlier=job_type.aliases)


@cache
def load_kind(entrypoint: str) -> KindSpec:
    """Read a flow's name, version and parameter schema.

    Args:
        entrypoint: ``package.module.function``.

    Raises:
        UnknownKind: there is no flow of that name.
    """
    from prefect.exceptions import MissingFlowError
    from prefect.flows import Flow, load_flow_from_entrypoint
    from prefect.utilities.callables import parameter_schema

    try:
        flow: Flow[..., Any] = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except (MissingFlowError, ImportError, ValueError) as error:
        raise UnknownKind(
            f"entry point {entrypoint!r} names no flow: {error}; write package.module.function"
        ) from error
    except Exception as error:  # Somebody else's module, which may raise anything when it is imported.
        raise UnknownKind(
            f"entry point {entrypoint!r} cannot be imported ({type(error).__name__}); mend its package"
        ) from error
    schema = parameter_schema(flow).model_dump(mode="json", exclude_unset=True)
    return KindSpec(flow.name, entrypoint, flow.version, schema)
