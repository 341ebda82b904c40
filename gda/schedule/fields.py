"""The fields of a cron line: which values each takes, how a field is read and how it is written back.

The grammar is the part on which cronsim, croniter and Prefect agree: ``*``, values, lists, ranges ``a-b`` and steps.
What they read differently is refused here, or normalised away.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

WEEKDAY_NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class Refusal(Exception):
    """Why a text is no schedule and what to write instead; ``parse`` makes it an InvalidSchedule naming the value."""


@dataclass(frozen=True, slots=True)
class Field:
    """One position of a cron line: its name, its lowest and highest value and the three-letter names it takes."""

    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)

    @property
    def full(self) -> tuple[int, ...]:
        """Every value of the field: what ``*`` means."""
        return tuple(range(self.low, self.high + 1))


SECOND = Field("second", 0, 59)
MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY = Field("day-of-month", 1, 31)
MONTH = Field("month", 1, 12, {name: number for number, name in enumerate(MONTH_NAMES, start=1)})
WEEKDAY = Field("day-of-week", 0, 7, {name: number for number, name in enumerate(WEEKDAY_NAMES)})
EVERY_WEEKDAY = tuple(range(7))

_FOREIGN = (
    (re.compile(r"\?"), "'?' is Quartz's 'no value'; write '*'"),
    (
        re.compile(r"h(\(.*|/.*)?$"),
        "'H' is Jenkins' hashed value; write a fixed one (the spread policy keeps users apart)",
    ),
    (re.compile(r"r(\(.*|/.*)?$"), "'R' is a random value, another at each look; write a fixed value"),
    (re.compile(r"(\d+|l)w$"), "'W' (nearest weekday) has no common reading; write 'weekdays 09:00' or list the days"),
)


def parse_field(kind: Field, text: str) -> tuple[int, ...]:
    """Read one field into its sorted values; raise Refusal where the strict grammar does not cover it."""
    values: set[int] = set()
    for term in text.lower().split(","):
        values.update(_parse_term(kind, term))
    if kind is WEEKDAY:
        values = {value % 7 for value in values}
    return tuple(sorted(values))


def _parse_term(kind: Field, term: str) -> range:
    body, slash, step_text = term.partition("/")
    span = _parse_span(kind, body, stepped=bool(slash))
    if not slash:
        return span
    if not re.fullmatch(r"[0-9]{1,2}", step_text) or int(step_text) == 0:
        raise Refusal(f"{term!r} has no usable step in {kind.name}; write a whole number from 1, such as {body}/2")
    step = int(step_text)
    if step > len(span):
        # croniter, cronsim and Prefect all read */70 as the first value only, which nobody means.
        raise Refusal(
            f"the step of {term!r} is larger than the {len(span)} values it steps over in {kind.name}; "
            f"write {str(span[0])!r} if that one value is meant"
        )
    return span[::step]


def _parse_span(kind: Field, text: str, *, stepped: bool) -> range:
    if text == "*":
        return range(kind.low, 7 if kind is WEEKDAY else kind.high + 1)
    if "-" in text and not text.startswith("-"):
        first_text, _, last_text = text.partition("-")
        first, last = _parse_value(kind, first_text), _parse_value(kind, last_text)
        if last < first:
            advice = f"write it as {_unwrapped(kind, first, last)!r}"
            raise Refusal(f"the range {text!r} in {kind.name} runs backwards; {advice}")
        # croniter (to 7.0.0) and Prefect read a-a as the whole field: 0 9-9 * * * runs 24 times a day. Here it is a.
        return range(first, last + 1)
    first = _parse_value(kind, text)
    # '3/2' in day-of-week is Wednesday and Friday, as croniter and Prefect read it; cronsim goes on to 7, a Sunday.
    top = 6 if kind is WEEKDAY else kind.high
    return range(first, (max(top, first) if stepped else first) + 1)


def _unwrapped(kind: Field, first: int, last: int) -> str:
    top = 6 if kind is WEEKDAY else kind.high
    names = {number: name for name, number in kind.names.items()}
    ends = [str(names.get(value, value)) for value in (first, top, kind.low, last)]
    return ",".join(low if low == high else f"{low}-{high}" for low, high in (ends[:2], ends[2:]))


def _parse_value(kind: Field, text: str) -> int:
    if text in kind.names:
        return kind.names[text]
    if re.fullmatch(r"[0-9]{1,2}", text):
        value = int(text)
        if kind.low <= value <= kind.high:
            return value
        raise Refusal(f"{text} is outside {kind.name}, which runs from {kind.low} to {kind.high}")
    raise Refusal(_why_no_value(kind, text))


def _why_no_value(kind: Field, text: str) -> str:
    if not text:
        return f"a value is missing in {kind.name}; write '*' for every value and no empty places in lists and ranges"
    for pattern, reason in _FOREIGN:
        if pattern.match(text):
            return f"{text!r} in {kind.name}: {reason}"
    if text[:3] in kind.names:
        return f"{text!r} in {kind.name}: names have three letters; write {text[:3]!r}"
    if text.startswith("l") or text.endswith("l") or "#" in text:
        samples = "write such as '0 9 L * *', '0 9 * * 1#2' or '0 9 * * L5'"
        return f"{text!r} in {kind.name}: 'L' and '#' stand alone in a day field; {samples}"
    names = f" or {next(iter(kind.names))}-{list(kind.names)[-1]}" if kind.names else ""
    return f"{text!r} is no {kind.name}; write '*' or values from {kind.low} to {kind.high}{names}"


def format_field(kind: Field, values: tuple[int, ...], *, star_steps: bool = True) -> str:
    """Write values back as the shortest field that every engine reads alike.

    ``star_steps=False`` avoids ``*/n``: in the day fields Debian and cronsim read a leading star as 'and', Prefect not.
    """
    full = EVERY_WEEKDAY if kind is WEEKDAY else kind.full
    if values == full:
        return "*"
    step = _even_step(values)
    if step > 1 and star_steps and values == full[::step] and (len(values) > 3 or kind in (SECOND, MINUTE)):
        return f"*/{step}"
    if step > 1 and len(values) > 4:
        return f"{values[0]}-{values[-1]}/{step}"
    return ",".join(_format_run(run) for run in _runs(values))


def _even_step(values: tuple[int, ...]) -> int:
    gaps = {after - before for before, after in pairwise(values)}
    return gaps.pop() if len(gaps) == 1 else 0


def _runs(values: tuple[int, ...]) -> list[list[int]]:
    runs: list[list[int]] = []
    for value in values:
        if runs and runs[-1][-1] == value - 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return runs


def _format_run(run: list[int]) -> str:
    return f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run))
