"""Calls on behalf of one user: the token and its one renewal, pages, and batches that repeat only what failed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
from pydantic import SecretStr

from gda.errors import NeedsConsent, ProviderError, Transient
from gda.google import batch
from gda.google.answers import AccessRefused, classify
from gda.google.http import Answer, BodyTooLarge, Clock, Lost, accepted, ask, exchange, patience, readable
from gda.google.messages import read_json

T = TypeVar("T")
Renew = Callable[[], Awaitable[SecretStr]]


class Calls:
    """Authorised calls to one Google API.

    Args:
        http: the process's shared client.
        origin: scheme and host of the API.
        batch_path: where the API takes batches.
        access_token: the user's.
        renew: called at most once, when the token is refused (401).
        clock: the aware wall clock.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        origin: str,
        batch_path: str,
        access_token: SecretStr,
        renew: Renew | None,
        clock: Clock,
    ) -> None:
        self._http = http
        self._origin = origin.rstrip("/")
        self._batch_url = self._origin + batch_path
        self._access = access_token
        self._renew = renew
        self._renewing = asyncio.Lock()
        self._clock = clock

    async def get(self, endpoint: str, path: str, query: Mapping[str, object]) -> dict[str, Any]:
        """Get a JSON object; ``endpoint`` names the call in errors."""
        url = f"{self._origin}{path}?{urlencode(query)}" if query else self._origin + path

        async def act(access: SecretStr) -> dict[str, Any]:
            return await ask(self._http, self._request("GET", url, access), endpoint, read_json, clock=self._clock)

        return await self._with_access(act)

    async def pages(self, endpoint: str, path: str, query: Mapping[str, object]) -> AsyncIterator[dict[str, Any]]:
        """Get page after page of a listing; a page token that comes twice ends it as ``Transient``."""
        tokens: set[str] = set()
        page = await self.get(endpoint, path, query)
        yield page
        while token := page.get("nextPageToken"):
            if token in tokens or not isinstance(token, str):
                raise Transient(f"{endpoint}: the pages do not end")
            tokens.add(token)
            page = await self.get(endpoint, path, {**query, "pageToken": token})
            yield page

    async def post_once(self, path: str, content: bytes, content_type: str) -> Answer | Lost:
        """Post what must not be repeated; only a refused access token (nothing was done then) leads to a second try."""

        async def act(access: SecretStr) -> Answer | Lost:
            request = self._request("POST", self._origin + path, access, content, content_type)
            outcome = await exchange(self._http, request)
            if isinstance(outcome, Answer) and outcome.status == 401:
                accepted(outcome, path, self._clock)
            return outcome

        return await self._with_access(act)

    async def fetch(
        self, endpoint: str, targets: Mapping[str, str], read: Callable[[bytes], T]
    ) -> dict[str, T | ProviderError]:
        """Get many small things in one batch; parts that failed for a passing cause are asked for again.

        Args:
            endpoint: the name of the inner call.
            targets: path and query of each, by a key of the caller's; at most 100.
            read: makes a value of a body, raising ``Malformed``.

        Returns:
            By key, the value or the error of that part alone.

        Raises:
            ProviderError: the batch as a whole was refused or failed.
        """

        async def act(access: SecretStr) -> dict[str, T | ProviderError]:
            return await self._fetch(endpoint, targets, read, access)

        if not targets:
            return {}
        try:
            return await self._with_access(act)
        except BodyTooLarge as error:
            if len(targets) == 1:
                return dict.fromkeys(targets, error)
        keys = list(targets)
        halves = keys[: len(keys) // 2], keys[len(keys) // 2 :]
        first, second = [await self.fetch(endpoint, {key: targets[key] for key in half}, read) for half in halves]
        return first | second

    async def _fetch(
        self, endpoint: str, targets: Mapping[str, str], read: Callable[[bytes], T], access: SecretStr
    ) -> dict[str, T | ProviderError]:
        outcomes: dict[str, T | ProviderError] = {}
        pending = dict(targets)
        try:
            async for attempt in patience():
                with attempt:
                    for key, part in (await self._parts(endpoint, pending, access)).items():
                        outcomes[key] = self._outcome(endpoint, part, read)
                    pending = {key: targets[key] for key in pending if isinstance(outcomes.get(key), Transient)}
                    _raise_longest_wait(outcomes, pending)
        except Transient:
            if outcomes.keys() != targets.keys():
                raise
        return outcomes

    async def _parts(
        self, endpoint: str, targets: Mapping[str, str], access: SecretStr
    ) -> dict[str, batch.Part | None]:
        if len(targets) == 1:
            ((key, target),) = targets.items()
            outcome = await exchange(self._http, self._request("GET", self._origin + target, access))
            if isinstance(outcome, Lost):
                accepted(outcome, endpoint)
                return {}
            return {key: batch.Part(outcome.status, dict(outcome.headers), outcome.body)}
        content = batch.encode(list(targets.values()))
        request = self._request("POST", self._batch_url, access, content, batch.CONTENT_TYPE)
        outcome = await exchange(self._http, request)
        body = accepted(outcome, f"{endpoint} (batch)", self._clock)
        content_type = outcome.headers.get("content-type", "") if isinstance(outcome, Answer) else ""
        try:
            parts = batch.decode(content_type, body)
        except batch.MalformedBatch as fault:
            problem = Transient(f"{endpoint} (batch): {fault}")
        else:
            return {key: parts.get(index) for index, key in enumerate(targets)}
        raise problem

    def _outcome(self, endpoint: str, part: batch.Part | None, read: Callable[[bytes], T]) -> T | ProviderError:
        if part is None:
            return Transient(f"{endpoint}: the batch answer lacks this part")
        if not 200 <= part.status < 300:
            error = classify(part.status, part.headers, part.body, self._clock(), endpoint=endpoint)
            if isinstance(error, AccessRefused):
                raise error
            return error
        return readable(part.body, endpoint, read)

    def _request(
        self, method: str, url: str, access: SecretStr, content: bytes | None = None, content_type: str | None = None
    ) -> httpx.Request:
        token = access.get_secret_value()
        # Checked here, for the error of an illegal header would quote the token.
        if not token.isascii() or not token.isprintable() or not token.strip():
            raise NeedsConsent("the stored access token is empty or holds characters that no header may hold")
        headers = {"Authorization": f"Bearer {token}"}
        if content_type is not None:
            headers["Content-Type"] = content_type
        return self._http.build_request(method, url, content=content, headers=headers)

    async def _with_access(self, act: Callable[[SecretStr], Awaitable[T]]) -> T:
        access = self._access
        try:
            return await act(access)
        except AccessRefused:
            if self._renew is None:
                raise
        async with self._renewing:
            # Concurrent calls are refused together; the first renews for all.
            if self._access is access:
                self._access = await self._renew()
        return await act(self._access)


def _raise_longest_wait(outcomes: Mapping[str, object], pending: Mapping[str, str]) -> None:
    failed = [error for key in pending if isinstance(error := outcomes[key], Transient)]
    if failed:
        raise max(failed, key=lambda error: error.retry_after or timedelta(0))
