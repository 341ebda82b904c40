"""The difference between the deployments there shall be and those there are: pure, so that it can be shown first."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from deployments.spec import COHORT_TAG, OPERATOR_TAG, OWN_TAG, USER_TAG, DeploymentSpec, ScheduleSpec

FORMAT = 1
"""Version of the JSON that ``Plan.to_json`` gives; raised when a field changes its meaning."""
PAUSED_TAG = "paused:"
"""``paused:<schedule>`` on a deployment: apply itself switched that schedule off, so apply may switch it on again."""
COMPARED = tuple(
    one.name for one in fields(DeploymentSpec) if one.name not in ("flow_name", "name", "schedules", "formerly")
)


@dataclass(frozen=True, slots=True)
class Existing:
    """A deployment as Prefect has it.

    ``schedule_ids`` maps slugs to Prefect's ids; ``foreign`` are the ids of schedules that somebody added by hand.
    """

    id: str
    spec: DeploymentSpec
    schedule_ids: Mapping[str, str]
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs; ``schedules.<slug>`` for a Prefect schedule, with None where there is none."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Update:
    """An existing deployment, what it shall become, and the fields that differ."""

    existing: Existing
    spec: DeploymentSpec
    changes: tuple[Change, ...]

    @property
    def verb(self) -> str:
        """``pause`` or ``resume`` when only schedules are switched off or on, else ``update``."""
        switched = [(one.old, one.new) for one in self.changes if one.field.startswith("schedules.")]
        rest = {one.field for one in self.changes if not one.field.startswith("schedules.")}
        if not switched or rest - {"tags"} or not all(_only_switched(old, new) for old, new in switched):
            return "update"
        states = {new.active for _, new in switched}
        return "update" if len(states) > 1 else "resume" if states.pop() else "pause"


@dataclass(frozen=True, slots=True)
class PausedByHand:
    """Somebody paused this in Prefect, so apply leaves it so; ``schedule`` None: the whole deployment."""

    title: str
    schedule: str | None

    def __str__(self) -> str:
        what = f"schedule {self.schedule!r}" if self.schedule else "the deployment"
        return f"{self.title}: {what} is paused by hand in Prefect and stays so; resume it there"


@dataclass(frozen=True, slots=True)
class Plan:
    """What apply would do; ``unchanged`` deployments are not touched, since each write deletes their coming runs."""

    create: tuple[DeploymentSpec, ...]
    update: tuple[Update, ...]
    delete: tuple[Existing, ...]
    unchanged: tuple[Existing, ...]
    paused_by_hand: tuple[PausedByHand, ...] = ()
    empty: tuple[Existing, ...] = ()
    """Cohorts without members, left until night: the next user may want the same time."""

    @property
    def changes(self) -> int:
        """How many deployments apply would write."""
        return len(self.create) + len(self.update) + len(self.delete)

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values; ``format`` is the version of their meaning."""
        return {
            "format": FORMAT,
            "create": [{"deployment": spec.title, "schedules": _shown(spec)} for spec in self.create],
            "update": [
                {
                    "deployment": one.spec.title,
                    "verb": one.verb,
                    "changes": [
                        {"field": each.field, "old": _plain(each.old), "new": _plain(each.new)} for each in one.changes
                    ],
                }
                for one in self.update
            ],
            "delete": [{"deployment": one.spec.title} for one in self.delete],
            "unchanged": len(self.unchanged),
            "empty": [{"deployment": one.spec.title} for one in self.empty],
            "paused_by_hand": [{"deployment": one.title, "schedule": one.schedule} for one in self.paused_by_hand],
        }

    def lines(self) -> list[str]:
        """The plan for people, one line per deployment and field, a sum at the end."""
        return [*self._lines(), self.summary()]

    def summary(self) -> str:
        """How many of each, in one line."""
        empty = f", {len(self.empty)} empty" if self.empty else ""
        return (
            f"{len(self.create)} to create, {len(self.update)} to update, {len(self.delete)} to delete, "
            f"{len(self.unchanged)} unchanged{empty}"
        )

    def _lines(self) -> Iterator[str]:
        for spec in self.create:
            yield f"+ create {spec.title}: {spec.description}"
        for one in self.update:
            yield f"~ {one.verb} {one.spec.title}"
            for change in one.changes:
                yield f"    {change.field}: {_brief(change.old)} -> {_brief(change.new)}"
        for gone in self.delete:
            yield f"- delete {gone.spec.title}"
        for held in self.paused_by_hand:
            yield f"! {held}"


def plan(desired: Iterable[DeploymentSpec], existing: Iterable[Existing], *, keep_empty: bool = False) -> Plan:
    """Compare what shall be with what is.

    Only deployments that carry GDA's own tag and a user's or a cohort's are ever deleted. What was paused by hand in
    Prefect stays paused and is reported, not changed; the pauses that apply itself made are marked by a tag.

    Args:
        desired: deployments with distinct flow and name.
        existing: what Prefect has, as ``read_existing`` gives it.
        keep_empty: leave cohorts that nobody is in any more.

    Returns:
        The plan, each part in the order of ``desired`` or ``existing``.
    """
    there = {one.spec.title: one for one in existing}
    create: list[DeploymentSpec] = []
    update: list[Update] = []
    unchanged: list[Existing] = []
    held: list[PausedByHand] = []
    for spec in desired:
        old = there.pop(spec.title, None)
        before = old or _predecessor(spec, there)
        if before is None:
            create.append(_marked(spec, {one.group for one in spec.schedules if not one.active}))
            continue
        wanted, kept = _respecting_hands(spec, before.spec)
        held += kept
        if old is None:
            create.append(wanted)
            continue
        changes = tuple(_differences(old, wanted))
        if changes:
            update.append(Update(old, wanted, changes))
        else:
            unchanged.append(old)
    gone = [one for one in there.values() if _is_own(one.spec)]
    empty = tuple(one for one in gone if keep_empty and COHORT_TAG in one.spec.tags)
    delete = tuple(one for one in gone if one not in empty)
    return Plan(tuple(create), tuple(update), delete, tuple(unchanged), tuple(held), empty)


def _predecessor(spec: DeploymentSpec, there: Mapping[str, Existing]) -> Existing | None:
    """What the user had before the kind was renamed or got another flow; it is deleted, but its pauses are kept."""
    found = (there[title] for title in spec.formerly if title in there and title != spec.title)
    return next((one for one in found if _is_own(one.spec)), None)


def _is_own(spec: DeploymentSpec) -> bool:
    groups = {COHORT_TAG, OPERATOR_TAG}.intersection(spec.tags)
    return OWN_TAG in spec.tags and bool(groups or any(tag.startswith(USER_TAG) for tag in spec.tags))


def _marked(spec: DeploymentSpec, paused_groups: set[str]) -> DeploymentSpec:
    return replace(spec, tags=tuple(sorted({*spec.tags, *(f"{PAUSED_TAG}{group}" for group in paused_groups)})))


def _respecting_hands(spec: DeploymentSpec, old: DeploymentSpec) -> tuple[DeploymentSpec, list[PausedByHand]]:
    """The wish with pauses made by hand kept, and those of them that stand against the wish."""
    was = {one.slug: one for one in old.schedules}
    groups = {one.group: one.active for one in spec.schedules}
    by_hand = {
        group for group in groups if group in was and not was[group].active and f"{PAUSED_TAG}{group}" not in old.tags
    }
    schedules = tuple(replace(one, active=one.active and one.group not in by_hand) for one in spec.schedules)
    ours = {group for group, active in groups.items() if not active and group not in by_hand}
    wanted = _marked(replace(spec, schedules=schedules, paused=spec.paused or old.paused), ours)
    kept = [PausedByHand(spec.title, group) for group in sorted(by_hand) if groups[group]]
    if old.paused and not spec.paused:
        kept.insert(0, PausedByHand(spec.title, None))
    return wanted, kept


def _differences(existing: Existing, wanted: DeploymentSpec) -> Iterator[Change]:
    old = existing.spec
    for name in COMPARED:
        before, after = getattr(old, name), getattr(wanted, name)
        if before != after:
            yield Change(name, before, after)
    were = {one.slug: one for one in old.schedules}
    are = {one.slug: one for one in wanted.schedules}
    for slug in [*are, *(slug for slug in were if slug not in are)]:
        if were.get(slug) != are.get(slug):
            yield Change(f"schedules.{slug}", were.get(slug), are.get(slug))
    for made_by_hand in existing.foreign:
        yield Change(f"schedules.{made_by_hand}", "made by hand", None)


def _only_switched(old: object, new: object) -> bool:
    both = isinstance(old, ScheduleSpec) and isinstance(new, ScheduleSpec)
    return both and old != new and replace(old, active=new.active) == new  # type: ignore[attr-defined,type-var]


def _shown(spec: DeploymentSpec) -> list[dict[str, Any]]:
    return [_plain(one) for one in spec.schedules]


def _plain(value: Any) -> Any:
    if isinstance(value, ScheduleSpec):
        return {"cron": value.cron, "timezone": value.timezone, "active": value.active}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return dict(value) if isinstance(value, Mapping) else value


def _brief(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, ScheduleSpec):
        return f"{value.cron!r} {value.timezone}{'' if value.active else ' (off)'}"
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 100 else text[:97] + "..."
