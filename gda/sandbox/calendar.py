"""The part of Calendar's REST interface (v3) that GDA uses: the list of calendars, events with sync tokens and pages.

``fields=`` masks are accepted and ignored. A sync token holds the number of the calendar's last change that its reader
knows. Source: developers.google.com/calendar/api/v3/reference/events/list.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote

from gda.errors import UsageError
from gda.sandbox.accounts import Account
from gda.sandbox.agenda import SandboxCalendar
from gda.sandbox.dates import Item, instant
from gda.sandbox.state import Sandbox
from gda.sandbox.wire import Call, Reply, google_error, json_reply

PREFIX = "/calendar/v3/"
EVENTS_LIST = "events.list"
Handler = Callable[[Sandbox, Account, Call, list[str]], Reply]
Query = dict[str, list[str]]

_WITHOUT_TOKEN = ("iCalUID", "orderBy", "q", "timeMin", "timeMax", "updatedMin")
"""What Google refuses beside a sync token."""


def find_endpoint(method: str, path: str) -> tuple[str, Handler, list[str]] | None:
    """Return the end point's name, its handler and the ids in the path; None when there is no such call."""
    match method, path[len(PREFIX) :].split("/"):
        case "GET", ["users", "me", "calendarList"]:
            return "calendarList.list", _calendars, []
        case "GET", ["calendars", calendar_id, "events"]:
            return EVENTS_LIST, _events, [unquote(calendar_id)]
    return None


def perform(sandbox: Sandbox, handler: Handler, account: Account, call: Call, ids: list[str]) -> Reply:
    """Carry out one call for the account that its token opened; errors come back as Google writes them."""
    try:
        return handler(sandbox, account, call, ids)
    except UsageError as error:
        return google_error(400, "badRequest", str(error))


def _calendars(sandbox: Sandbox, account: Account, call: Call, ids: list[str]) -> Reply:
    items = [
        {
            "kind": "calendar#calendarListEntry",
            "id": calendar.id,
            "summary": calendar.name,
            "timeZone": calendar.timezone,
            "accessRole": "owner",
            "selected": True,
        }
        | ({"primary": True} if calendar.primary else {})
        for calendar in account.calendars.values()
    ]
    return json_reply({"kind": "calendar#calendarList", "items": items})


def _events(sandbox: Sandbox, account: Account, call: Call, ids: list[str]) -> Reply:
    calendar = sandbox.accounts.calendar(account, ids[0])
    if calendar is None:
        return google_error(404, "notFound", "Not Found")
    query = parse_qs(call.query)
    if _one(query, "singleEvents") != "true":
        raise UsageError("the sandbox writes series out: ask with singleEvents=true")
    known = _known(calendar, query)
    struck = "syncToken" in query and sandbox.faults.take("calendar_token_gone", EVENTS_LIST, account.email)
    if known is None or struck:
        return google_error(410, "fullSyncRequired", "Sync token is no longer valid, a full sync is required.")
    after, until = _page(query, known, calendar.number)
    limit = _limit(query)
    found = [
        (number, item) for number, item in calendar.changed_after(after, until) if _is_asked_for(item, calendar, query)
    ]
    page = found[:limit]
    answer: dict[str, Any] = {"kind": "calendar#events", "summary": calendar.name, "timeZone": calendar.timezone}
    answer["items"] = [_shown(item) for _, item in page]
    if len(found) > limit:
        answer["nextPageToken"] = f"{page[-1][0]}.{until}"
    else:
        answer["nextSyncToken"] = f"sync-{until}"
    return json_reply(answer)


def _is_asked_for(item: Item, calendar: SandboxCalendar, query: Query) -> bool:
    if "syncToken" in query:
        return True
    if item["status"] == "cancelled" and _one(query, "showDeleted") != "true":
        return False
    first, last = _one(query, "timeMin"), _one(query, "timeMax")
    begins, ends = (instant(item[name], calendar.timezone) for name in ("start", "end"))
    return (not first or ends > _instant(first)) and (not last or begins < _instant(last))


def _shown(item: Item) -> Item:
    """An item as Google gives it: of what was cancelled little more than the ids."""
    if item["status"] != "cancelled":
        return item
    return {
        name: item[name] for name in ("kind", "id", "status", "recurringEventId", "originalStartTime") if name in item
    }


def _known(calendar: SandboxCalendar, query: Query) -> int | None:
    """The number of the last change that the reader knows, 0 without a token; None for a token that is none."""
    if "syncToken" not in query:
        return 0
    forbidden = [name for name in _WITHOUT_TOKEN if name in query]
    if forbidden:
        raise UsageError(f"Sync token cannot be used with {', '.join(forbidden)}")
    number = _one(query, "syncToken").removeprefix("sync-")
    return int(number) if number.isdecimal() and int(number) <= calendar.number else None


def _page(query: Query, known: int, newest: int) -> tuple[int, int]:
    """Between which numbers the page lies: what changes while pages are read is left to the next sync."""
    if "pageToken" not in query:
        return known, newest
    after, dot, until = _one(query, "pageToken").partition(".")
    if not (dot and after.isdecimal() and until.isdecimal()):
        raise UsageError("Invalid page token value.")
    return int(after), int(until)


def _limit(query: Query) -> int:
    text = _one(query, "maxResults") or "250"
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"Invalid value {text!r} for maxResults")
    return min(int(text), 2500)


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UsageError(f"Invalid time {text!r}: RFC 3339 with an offset is needed")
    return moment


def _one(query: Query, name: str) -> str:
    return query.get(name, [""])[0]
