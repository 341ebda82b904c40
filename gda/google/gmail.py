"""One user's mailbox over Gmail v1: list, fetch in batches, search for a sent digest, send."""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from urllib.parse import quote, urlencode

import httpx
import orjson
from pydantic import SecretStr

from gda.errors import Gone, InDoubt, ProviderError, Transient
from gda.google.calls import Calls, Renew
from gda.google.http import Clock, Lost, accepted, utc_now
from gda.google.messages import (
    Fetched,
    History,
    Malformed,
    MessageRef,
    Profile,
    RawMessage,
    Unfetched,
    read_added,
    read_headers,
    read_json,
    read_raw,
    read_refs,
)
from gda.settings import Settings

LIST_PAGE = 500
"""The most ids that ``messages.list`` gives at once."""

OCCURRENCE_HEADER = "X-GDA-Occurrence"

_MAILBOX = "/gmail/v1/users/me"
_PROBE_MARGIN = timedelta(minutes=2)


class Gmail:
    """A user's mailbox; cheap to make, one per user and attempt.

    Args:
        http: the process's shared client, from ``open_http``.
        settings: end point and batch size.
        access_token: the user's.
        renew: called at most once, when Google refuses the token (401); returns a fresh one. Without it, or when the
            fresh one is refused too, calls raise ``NeedsConsent``.
        clock: the aware wall clock, for Google's retry instants only.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        settings: Settings,
        access_token: SecretStr,
        *,
        renew: Renew | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._calls = Calls(http, settings.google_api_url, "/batch/gmail/v1", access_token, renew, clock)
        self._batch_size = settings.google_batch_size
        self._clock = clock

    async def list_ids(self, query: str, *, limit: int | None = None) -> list[MessageRef]:
        """List the messages that match a search, newest first, over all pages.

        Args:
            query: as typed into Gmail's search box.
            limit: most messages wanted; None for all.

        Raises:
            ProviderError: see ``gda.google.answers``.
        """
        return await self._list({"q": query}, limit)

    async def get_raw(self, ids: Iterable[str]) -> AsyncIterator[Fetched]:
        """Fetch whole messages, batch after batch, in the order of ``ids``, each once.

        Yields:
            The message, or ``Unfetched`` with the error of this one message (``Gone`` when it was deleted meanwhile).

        Raises:
            ProviderError: Google refused or failed as a whole.
        """
        for chunk in _chunks(ids, self._batch_size):
            targets = {key: f"{_MAILBOX}/messages/{quote(key, safe='')}?format=raw" for key in chunk}
            fetched = await self._calls.fetch("gmail messages.get", targets, read_raw)
            for key in chunk:
                outcome = fetched[key]
                yield outcome if isinstance(outcome, RawMessage) else Unfetched(key, outcome)

    async def get_headers(self, ids: Iterable[str], names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Fetch some headers of messages.

        Args:
            ids: of messages.
            names: of headers; case does not matter.

        Returns:
            By message id, the headers it has, keyed as in ``names``; messages that are gone are absent.

        Raises:
            ProviderError: a message could not be had for another reason, so that absence proves something.
        """
        headers: dict[str, dict[str, str]] = {}
        for chunk in _chunks(ids, self._batch_size):
            headers |= await self._headers(chunk, names)
        return headers

    async def find_sent(self, message_id: str, occurrence_id: str, since: datetime) -> str | None:
        """Search the whole mailbox, spam and trash too, for a digest that may have been sent (DESIGN 8, in doubt).

        First by Message-ID; since not every path keeps that, then by our header on all mail since the intent.

        Args:
            message_id: the digest's stable Message-ID, with or without its angle brackets.
            occurrence_id: the value of its ``X-GDA-Occurrence`` header.
            since: when the intent was written, aware; two minutes before it are searched too, for clocks differ.

        Returns:
            The id of the message found, which proves delivery, or None, which proves nothing before the settling time.

        Raises:
            ProviderError: the question could not be answered.
        """
        bare = message_id.strip().strip("<>")
        named = await self._list({"q": f"in:anywhere rfc822msgid:{bare}", "includeSpamTrash": "true"}, 1)
        if named:
            return named[0].id
        after = int((since - _PROBE_MARGIN).timestamp())
        recent = await self._list({"q": f"in:anywhere after:{after}", "includeSpamTrash": "true"}, None)
        # Gmail lists the newest first; the digest came soon after the intent, so the search starts at the old end.
        for chunk in _chunks((ref.id for ref in reversed(recent)), self._batch_size):
            for key, headers in (await self._headers(chunk, [OCCURRENCE_HEADER])).items():
                if headers.get(OCCURRENCE_HEADER, "").strip() == occurrence_id:
                    return key
        return None

    async def send(self, raw: bytes) -> str:
        """Send a message as the user; never repeated here, for Gmail has no idempotency key.

        Args:
            raw: the whole message, at most 35 MiB.

        Returns:
            Gmail's id of the sent message.

        Raises:
            InDoubt: the request went out and no clear answer came; ``find_sent`` tells.
            ProviderError: it was refused, or never left.
        """
        endpoint = "gmail messages.send"
        content = orjson.dumps({"raw": urlsafe_b64encode(raw).decode("ascii")})
        outcome = await self._calls.post_once(f"{_MAILBOX}/messages/send", content, "application/json")
        if isinstance(outcome, Lost) and outcome.sent:
            raise InDoubt(f"{endpoint}: {outcome.fault}")
        if not isinstance(outcome, Lost) and outcome.status >= 500:
            raise InDoubt(f"{endpoint}: HTTP {outcome.status}")
        return _sent_id(accepted(outcome, endpoint, self._clock), endpoint)

    async def profile(self) -> Profile:
        """Ask whose mailbox this is.

        Raises:
            ProviderError: see ``gda.google.answers``.
        """
        fields = await self._calls.get("gmail getProfile", f"{_MAILBOX}/profile", {})
        return Profile(str(fields.get("emailAddress", "")), str(fields.get("historyId", "")))

    async def history(self, start: str) -> History:
        """List the messages added since a history id.

        Args:
            start: a history id from ``profile`` or an earlier ``history``.

        Raises:
            Gone: the id is too old (usually after a week); list by search instead.
            ProviderError: any other failure.
        """
        query = {"startHistoryId": start, "historyTypes": "messageAdded", "maxResults": LIST_PAGE}
        added: dict[str, MessageRef] = {}
        newest = start
        async for page in self._calls.pages("gmail history.list", f"{_MAILBOX}/history", query):
            newest = str(page.get("historyId", newest))
            for ref in _or_transient("gmail history.list", read_added, page.get("history")):
                added.setdefault(ref.id, ref)
        return History(tuple(added.values()), newest)

    async def _list(self, query: dict[str, object], limit: int | None) -> list[MessageRef]:
        size = LIST_PAGE if limit is None else max(1, min(limit, LIST_PAGE))
        full = {**query, "maxResults": size, "fields": "messages(id,threadId),nextPageToken"}
        refs: list[MessageRef] = []
        async for page in self._calls.pages("gmail messages.list", f"{_MAILBOX}/messages", full):
            refs += _or_transient("gmail messages.list", read_refs, page.get("messages"))
            if limit is not None and len(refs) >= limit:
                break
        return refs[:limit]

    async def _headers(self, ids: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, str]]:
        query = urlencode({"format": "metadata", "metadataHeaders": list(names)}, doseq=True)
        targets = {key: f"{_MAILBOX}/messages/{quote(key, safe='')}?{query}" for key in ids}
        fetched = await self._calls.fetch("gmail messages.get", targets, lambda body: read_headers(body, names))
        for outcome in fetched.values():
            if isinstance(outcome, ProviderError) and not isinstance(outcome, Gone):
                raise outcome
        return {key: outcome for key, outcome in fetched.items() if not isinstance(outcome, ProviderError)}


def _chunks(ids: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(dict.fromkeys(ids))
    while chunk := list(islice(rest, size)):
        yield chunk


def _or_transient(endpoint: str, read: Callable[[object], list[MessageRef]], entries: object) -> list[MessageRef]:
    try:
        return read(entries)
    except Malformed as fault:
        problem = Transient(f"{endpoint}: {fault}")
    raise problem


def _sent_id(body: bytes, endpoint: str) -> str:
    try:
        sent = read_json(body).get("id")
    except Malformed:
        sent = None
    if not isinstance(sent, str) or not sent:
        raise InDoubt(f"{endpoint}: accepted, but the answer names no message")
    return sent
