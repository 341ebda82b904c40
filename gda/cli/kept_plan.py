"""A plan kept in a file, so that what was looked at is what is done."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gda.errors import UsageError

if TYPE_CHECKING:
    from deployments.plan import Plan


def save_plan(found: "Plan", path: Path) -> None:
    """Write a plan; raises UsageError where the file cannot be written."""
    try:
        path.write_text(json.dumps(_kept(found), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the plan cannot be kept in {path}: {error.strerror}; name another file") from None


def require_same(found: "Plan", path: Path) -> None:
    """Make sure that the plan of now does what the kept one said.

    Args:
        found: made just now.
        path: where one was kept.

    Raises:
        UsageError: the file holds no plan, or schedules or deployments have changed since; nothing was written.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"plan {path} cannot be read: {error.strerror}; `gda plan --save {path}` makes one") from None
    except ValueError:
        kept = None
    now = _kept(found)
    if not isinstance(kept, dict) or kept.keys() != now.keys() or kept["format"] != now["format"]:
        raise UsageError(f"{path} holds no plan of this release; `gda plan --save {path}` makes one")
    if kept != now:
        other = ", ".join(sorted(name for name in now if kept[name] != now[name]))
        raise UsageError(
            f"schedules or deployments have changed since {path} was kept ({other} differ), so nothing was done: "
            f"look at a new one with `gda plan --save {path}`"
        )


def _kept(found: "Plan") -> dict[str, Any]:
    # Through JSON, so that tuples compare as the lists that a file gives back.
    kept: dict[str, Any] = json.loads(json.dumps(found.to_json()))
    return kept
