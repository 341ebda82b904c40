"""How a series is judged: its usual dates together, its exceptions one by one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gda.novelty.judge import Verdict, View, cancelled, change_of, together, told_of
from gda.novelty.model import (
    DECLINED,
    Change,
    ChangeKind,
    Event,
    Moment,
    Seen,
    instant_of,
    length,
    moment_from,
    moment_text,
)

AHEAD = timedelta(days=400)
"""How far ahead the dates of a series are remembered: past a year, so that a yearly one has its next."""


@dataclass(frozen=True, slots=True)
class _Dates:
    """Usual dates of a known series that are not over: some come anew, some were stretched, some are gone."""

    anew: tuple[Event, ...]
    later: tuple[Event, ...]
    stretched: tuple[Event, ...]
    gone: tuple[Moment, ...]


def judge_series(
    events: Sequence[Event], known: Seen | None, rows: Iterable[Seen], view: View, *, base: str, whole: bool
) -> Verdict:
    """Judge what is listed of one series.

    Args:
        events: its dates, usual ones and exceptions; only those that changed, unless ``whole``.
        known: the memory of the series, or of the single event that it was before.
        rows: the memory of its exceptions.
        view: by what to judge.
        base: the series' id.
        whole: what is absent is gone.
    """
    live = sorted((e for e in events if not e.cancelled), key=lambda e: instant_of(e.start, view.timezone))
    exceptions = {row.id: row for row in rows if not row.is_series}
    if known is None:
        return _unknown(live, view, base)
    memory = known
    if not known.is_series:
        known = replace(known, series=base, starts=(moment_text(known.start),))
    ids = {event.id for event in events}
    lost = [exceptions[e.id] for e in events if e.cancelled and e.id in exceptions]
    if whole:
        lost += [row for row in exceptions.values() if row.id not in ids]
    single = [e for e in live if e.is_exception or e.id in exceptions]
    usual = [e for e in live if not (e.is_exception or e.id in exceptions)]
    dates = _dates(events, usual, known, exceptions, view, whole)
    alone = together([*(_date(e, exceptions.get(e.id), known, view) for e in single), *(_lost(r, view) for r in lost)])
    told, template, stretched = _tell(dates, known, view)
    gone = {moment_text(start) for start in dates.gone} | {start for row in lost for start in row.starts}
    after = replace(template, starts=_starts(known, live, gone, view))
    if len(usual) > 1:
        after = replace(after, title=usual[0].title, stance=usual[0].stance)
    ended = not after.starts and len(lost) == len(exceptions)
    remember = (*alone.remember, *stretched, *((after,) if after != memory and not ended else ()))
    return together([alone, Verdict(told, remember, (base,) if ended else ())])


def _unknown(live: Sequence[Event], view: View, base: str) -> Verdict:
    usual = [event for event in live if not event.is_exception] or list(live)
    if not usual:
        return Verdict()
    first = next((event for event in usual if not view.over(event.end)), usual[-1])
    series = replace(Seen.of(first), id=base, series=base, starts=_starts(None, live, set(), view))
    told = [event for event in usual if view.tells(event)]
    changes = (change_of(ChangeKind.NEW, told[0], count=len(told)),) if told else ()
    return Verdict(changes, (series, *(Seen.of(event) for event in live if event.is_exception)))


def _dates(
    events: Sequence[Event],
    usual: Sequence[Event],
    known: Seen,
    exceptions: dict[str, Seen],
    view: View,
    whole: bool,
) -> _Dates:
    starts = {start for start in known.starts if instant_of(moment_from(start), view.timezone) > view.now}
    usual_length = length(known.start, known.end)
    coming = [event for event in usual if not view.over(event.end) and event.stance != DECLINED]
    fresh = [event for event in coming if _original(event) not in known.starts]
    horizon = max((instant_of(moment_from(start), view.timezone) for start in known.starts), default=view.now)
    within = tuple(event for event in fresh if instant_of(event.start, view.timezone) <= horizon)
    moved = {start for row in exceptions.values() for start in row.starts}
    gone = {_original(e) for e in events if e.cancelled and e.id not in exceptions} & starts
    if whole:
        gone |= starts - {_original(event) for event in events} - moved
    return _Dates(
        within,
        tuple(event for event in fresh if event not in within),
        tuple(e for e in coming if e not in fresh and length(e.start, e.end) != usual_length),
        tuple(sorted((moment_from(start) for start in gone), key=lambda start: instant_of(start, view.timezone))),
    )


def _tell(dates: _Dates, known: Seen, view: View) -> tuple[tuple[Change, ...], Seen, tuple[Seen, ...]]:
    """What to tell of usual dates, what a usual date is from now on, and which date alone is longer or shorter."""
    before = _at(known, dates.gone[0]) if dates.gone else (known.start, known.end)
    remaining = [s for s in known.starts if instant_of(moment_from(s), view.timezone) > view.now]
    replaced = len(dates.gone) == len(remaining) and bool(dates.later)
    fresh = dates.anew or (dates.later if replaced else ())
    if fresh:
        kind = ChangeKind.MOVED if dates.gone else ChangeKind.NEW
        was = before if dates.gone else None
        template = replace(known, start=fresh[0].start, end=fresh[0].end, title=fresh[0].title)
        return (change_of(kind, fresh[0], was=was, count=len(fresh)),), template, ()
    changes: tuple[Change, ...] = ()
    if dates.gone and known.stance != DECLINED:
        start, end = before
        told = Seen(known.calendar, known.id, known.uid, known.title, start, end, known.stance)
        changes = tuple(replace(each, count=len(dates.gone)) for each in cancelled(told, view))
    if not dates.stretched:
        return changes, known, ()
    first = dates.stretched[0]
    moved = change_of(ChangeKind.MOVED, first, was=_at(known, first.start), count=len(dates.stretched))
    if len(dates.stretched) == 1:
        return (*changes, moved), known, (Seen.of(first),)
    return (*changes, moved), replace(known, start=first.start, end=first.end), ()


def _date(event: Event, row: Seen | None, known: Seen, view: View) -> Verdict:
    """One date that stands for itself: an exception, or one that was and is a usual date again."""
    state = Seen.of(event)
    if row is None and event.original is not None:
        start, end = _at(known, event.original)
        row = replace(state, title=known.title, start=start, end=end, stance=known.stance)
    change = told_of(event, row, view)
    return Verdict((change,) if change else (), (state,))


def _lost(row: Seen, view: View) -> Verdict:
    return Verdict(cancelled(row, view), forget=(row.id,))


def _at(known: Seen, start: Moment) -> tuple[Moment, Moment]:
    """A usual date of the series, by its beginning."""
    return start, start + length(known.start, known.end)


def _original(event: Event) -> str:
    return moment_text(event.original if event.original is not None else event.start)


def _starts(known: Seen | None, live: Iterable[Event], gone: set[str], view: View) -> tuple[str, ...]:
    """The dates to remember: known and listed ones, neither long past nor too far ahead."""
    texts = {*(known.starts if known else ()), *map(_original, live)} - gone

    def near(text: str) -> bool:
        return view.now - timedelta(days=2) < instant_of(moment_from(text), view.timezone) < view.now + AHEAD

    kept = {text for text in texts if near(text)}
    return tuple(sorted(kept)) or _latest(texts, view.timezone)


def _latest(texts: Iterable[str], timezone: str) -> tuple[str, ...]:
    def instant(text: str) -> datetime:
        return instant_of(moment_from(text), timezone)

    return tuple(sorted(texts, key=instant))[-1:]
