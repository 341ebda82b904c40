"""One user's calendars over Calendar v3: which there are, what changed since a token, what stands in a span of time.

Parameters of a listing and of its later changes must be the same, but for those that a sync token forbids; a token that
answers 410 is dropped for a whole listing. Source: developers.google.com/calendar/api/guides/sync.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from gda.errors import Gone, Transient
from gda.google.calls import Calls, Renew
from gda.google.events import CalendarRef, read_calendars, read_events
from gda.google.http import Clock, utc_now
from gda.google.messages import Malformed
from gda.novelty import Event
from gda.settings import Settings

EVENTS_PAGE = 2500
"""The most events that ``events.list`` gives at once."""

_ROOT = "/calendar/v3"
_LISTING = {"singleEvents": "true", "showDeleted": "true"}


@dataclass(frozen=True, slots=True)
class Synced:
    """What a calendar answered, and the token from which its next changes count.

    ``whole``: everything that was not over when it was asked, rather than changes.
    """

    events: tuple[Event, ...] = field(repr=False)
    token: str = field(repr=False)
    whole: bool


class Calendar:
    """A user's calendars; cheap to make, one per user and attempt.

    Args:
        http: the process's shared client, from ``open_http``.
        settings: end point.
        access_token: the user's.
        renew: called at most once, when Google refuses the token (401); returns a fresh one.
        clock: the aware wall clock, for Google's retry instants only.
        page: the most events asked for at once.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        settings: Settings,
        access_token: SecretStr,
        *,
        renew: Renew | None = None,
        clock: Clock = utc_now,
        page: int = EVENTS_PAGE,
    ) -> None:
        origin = settings.google_api_url
        self._calls = Calls(http, origin, "/batch/calendar/v3", access_token, renew, clock)
        self._page = page

    async def calendars(self) -> tuple[CalendarRef, ...]:
        """List the calendars that the user shows and whose events may be read.

        Raises:
            ProviderError: see ``gda.google.answers``.
        """
        endpoint = "calendar calendarList.list"
        found: list[CalendarRef] = []
        async for page in self._calls.pages(endpoint, f"{_ROOT}/users/me/calendarList", {"maxResults": 250}):
            try:
                found += read_calendars(page.get("items"))
            except Malformed as fault:
                problem = Transient(f"{endpoint}: {fault}")
            else:
                continue
            raise problem
        return tuple(found)

    async def sync(self, calendar: str, token: str | None, *, since: datetime) -> Synced:
        """List what changed since ``token``; without one, or where Google dropped it (410), list everything anew.

        Args:
            calendar: its id.
            token: of the last ``Synced``; it may be used again and again.
            since: a whole listing leaves out what is over by this instant (aware).

        Raises:
            Gone: there is no such calendar any more.
            ProviderError: any other failure.
        """
        if token is not None:
            try:
                events, next_token = await self._list(calendar, {**_LISTING, "syncToken": token})
            except Gone:
                return await self.sync(calendar, None, since=since)
            return Synced(events, _required(next_token), whole=False)
        events, next_token = await self._list(calendar, {**_LISTING, "timeMin": since.isoformat()})
        return Synced(events, _required(next_token), whole=True)

    async def agenda(self, calendar: str, start: datetime, end: datetime) -> tuple[Event, ...]:
        """List the dates that overlap a span of time.

        Args:
            calendar: its id.
            start: aware.
            end: aware, exclusive.

        Raises:
            Gone: there is no such calendar any more.
            ProviderError: any other failure.
        """
        query = {"singleEvents": "true", "timeMin": start.isoformat(), "timeMax": end.isoformat()}
        events, _ = await self._list(calendar, query)
        return events

    async def _list(self, calendar: str, query: Mapping[str, object]) -> tuple[tuple[Event, ...], object]:
        endpoint = "calendar events.list"
        path = f"{_ROOT}/calendars/{quote(calendar, safe='')}/events"
        found: list[Event] = []
        token: object = None
        async for page in self._calls.pages(endpoint, path, {**query, "maxResults": self._page}):
            token = page.get("nextSyncToken")
            try:
                found += read_events(calendar, page.get("items"))
            except Malformed as fault:
                problem = Transient(f"{endpoint}: {fault}")
            else:
                continue
            raise problem
        return tuple(found), token


def _required(token: object) -> str:
    if not isinstance(token, str) or not token:
        raise Transient("calendar events.list: the last page holds no sync token")
    return token
