"""One HTTP client per process, bounded in size, time and tries; every failure leaves it as one of GDA's errors."""

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import Request

import httpx
import stamina

from gda.errors import Permanent, ProviderError, Transient, UsageError
from gda.google.answers import classify
from gda.google.messages import Malformed
from gda.loopback import is_loopback
from gda.settings import Settings

TRIES = 3
PATIENCE_SECONDS = 10.0
"""Longer waits belong to the Prefect task and then to the ledger (DESIGN 4, three retry layers)."""

LARGEST_BODY = 50 * 1024 * 1024

_BEFORE_SENDING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

T = TypeVar("T")
Clock = Callable[[], datetime]
Judge = Callable[..., ProviderError]


class BodyTooLarge(Permanent):
    """The answer is larger than ``LARGEST_BODY``; asking for less at once may help."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """No whole answer came; ``sent`` tells whether the server may have seen the request."""

    fault: str
    sent: bool


class _NoCookies(CookieJar):
    """Keeps no cookie: one client serves many users."""

    def extract_cookies(self, response: object, request: Request) -> None:
        return


def utc_now() -> datetime:
    """The wall clock in UTC, used for nothing but Google's retry instants."""
    return datetime.now(UTC)


@asynccontextmanager
async def open_http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Open the process's HTTP client; close it on leaving.

    It keeps no cookies, for it serves many users, and obeys proxy variables only if Google is not on this machine.

    Args:
        settings: end points, connection limit, timeout in seconds.

    Raises:
        UsageError: an end point would get tokens in clear text over a network.
    """
    urls = (settings.google_api_url, settings.google_token_url)
    for url in urls:
        _require_private_way(url)
    local = all(is_loopback(urlsplit(url).hostname or "") for url in urls)
    async with httpx.AsyncClient(
        timeout=httpx.Timeout(settings.google_timeout_seconds),
        limits=httpx.Limits(
            max_connections=settings.google_connections,
            max_keepalive_connections=settings.google_connections,
            # Local servers close idle connections after 5 s (uvicorn), Google's after minutes.
            keepalive_expiry=4.0 if local else 60.0,
        ),
        # Loading the authorities' certificates takes tens of milliseconds; plain loopback needs none.
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if _all_plain(urls) else True,
        trust_env=not local,
        cookies=_NoCookies(),
        headers={"User-Agent": "gda (gzip)", "Accept-Encoding": "identity" if local else "gzip"},
    ) as http:
        yield http


def _all_plain(urls: tuple[str, ...]) -> bool:
    return all(urlsplit(url).scheme == "http" for url in urls)


def _require_private_way(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    # A name without a dot is a container's name on its private network, never a host of the public internet.
    safe = parts.scheme == "https" or (parts.scheme == "http" and (is_loopback(host) or (host and "." not in host)))
    if not safe or not host:
        raise UsageError(
            f"the Google end point {parts.scheme}://{host} would carry tokens in clear text or is no web address; "
            "use https, or http on this machine (GDA_GOOGLE_API_URL, GDA_GOOGLE_TOKEN_URL)"
        )


def patience() -> AsyncIterable[stamina.Attempt]:
    """Attempts for ``async for``: at most three, the last begun within 10 s, on ``Transient`` only.

    A ``retry_after`` is waited out where it fits into what is left of the 10 s; otherwise the error is raised at once,
    for the ledger to wait without holding a process.
    """
    started = asyncio.get_running_loop().time()

    def worth_waiting(error: Exception) -> bool | float:
        if not isinstance(error, Transient):
            return False
        if error.retry_after is None:
            return True
        wait = error.retry_after.total_seconds()
        left = started + PATIENCE_SECONDS - asyncio.get_running_loop().time()
        return wait if wait < left else False

    return stamina.retry_context(
        on=worth_waiting,
        attempts=TRIES,
        timeout=PATIENCE_SECONDS,
        wait_initial=0.2,
        wait_max=4.0,
        wait_jitter=0.5,
    )


async def ask(
    http: httpx.AsyncClient,
    request: httpx.Request,
    endpoint: str,
    read: Callable[[bytes], T],
    *,
    clock: Clock = utc_now,
    judge: Judge = classify,
) -> T:
    """Send a request that may be repeated, with the bounded retries of this layer.

    Args:
        http: the shared client.
        request: its content must be bytes, not a stream.
        endpoint: the name used in errors, such as ``gmail messages.list``.
        read: makes a value of a body, raising ``Malformed``.
        clock: the aware wall clock.
        judge: ``classify`` or ``classify_token``.

    Returns:
        What ``read`` made of the 2xx answer's body.

    Raises:
        ProviderError: as judged; ``Transient`` for lost connections, timeouts and malformed answers.
    """
    async for attempt in patience():
        with attempt:
            value = readable(accepted(await exchange(http, request), endpoint, clock, judge), endpoint, read)
            if isinstance(value, Transient):
                raise value
            return value
    raise AssertionError("patience() gives at least one attempt")


def readable(body: bytes, endpoint: str, read: Callable[[bytes], T]) -> T | Transient:
    """Return what ``read`` makes of a body, or the error; returned, so that no parser's error is chained to it."""
    try:
        return read(body)
    except Malformed as fault:
        return Transient(f"{endpoint}: {fault}")


def accepted(outcome: Answer | Lost, endpoint: str, clock: Clock = utc_now, judge: Judge = classify) -> bytes:
    """Return the body of a 2xx answer, raise what anything else means."""
    if isinstance(outcome, Lost):
        raise Transient(f"{endpoint}: {outcome.fault}")
    if 200 <= outcome.status < 300:
        return outcome.body
    raise judge(outcome.status, outcome.headers, outcome.body, clock(), endpoint=endpoint)


async def exchange(http: httpx.AsyncClient, request: httpx.Request) -> Answer | Lost:
    """Send once and read the whole answer, in three times the read timeout at most (a server may drip bytes).

    Raises:
        BodyTooLarge: nothing of such an answer is kept.
    """
    # Errors of httpx carry the request, and with it the token: they become values here, so none is chained to ours.
    try:
        async with asyncio.timeout((http.timeout.read or PATIENCE_SECONDS) * 3):
            answer = await _read(http, request)
    except TimeoutError:
        return Lost("no whole answer in time", sent=True)
    except httpx.HTTPError as error:
        return Lost(type(error).__name__, sent=not isinstance(error, _BEFORE_SENDING))
    if answer is None:
        raise BodyTooLarge(f"an answer of more than {LARGEST_BODY >> 20} MiB was refused")
    return answer


async def _read(http: httpx.AsyncClient, request: httpx.Request) -> Answer | None:
    response = await http.send(request, stream=True)
    try:
        pieces, size = [], 0
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > LARGEST_BODY:
                return None
            pieces.append(piece)
    finally:
        await response.aclose()
    return Answer(response.status_code, response.headers, pieces[0] if len(pieces) == 1 else b"".join(pieces))
