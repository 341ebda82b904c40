"""The flows that serve GDA's job types, found by entry point as a Prefect worker finds them."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from deployments.spec import KindSpec
from gda.errors import UnknownKind

ENTRYPOINTS: Mapping[str, str] = {"digest": "flows.digest.deliver_digests"}
"""Module entry points: they need no pull step and work wherever the package is installed (DESIGN 10)."""


def load_kinds() -> dict[str, KindSpec]:
    """The flow of every kind; imports the flows, which takes seconds the first time."""
    return {kind: load_kind(entrypoint) for kind, entrypoint in ENTRYPOINTS.items()}


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
    schema = parameter_schema(flow).model_dump(mode="json", exclude_unset=True)
    return KindSpec(flow.name, entrypoint, flow.version, schema)
