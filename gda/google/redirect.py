"""Where the browser comes back to: a server on loopback that hears one redirect and is gone (RFC 8252 section 7.3)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qsl, urlsplit

from gda.errors import GdaError, Unavailable

HOST = "127.0.0.1"
_LINE_SECONDS = 10
_LONGEST_LINE = 16 * 1024
_DONE = "GDA was given access. You may close this page."
_REFUSED = "GDA was not given access. You may close this page; the terminal says more."
_UNRELATED = "This is not the page that GDA waits for."

Read = Callable[[Mapping[str, str]], str | None]
"""Makes a code of a redirect's query; None where it is not the one that is waited for."""


class Redirect:
    """A port that waits for the browser; ``uri`` is where it shall come back to."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._code: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.read: Read = lambda _: None

    async def wait(self, seconds: float) -> str:
        """The code that the browser brought.

        Raises:
            Unavailable: nobody came in time.
            GdaError: what ``read`` raised.
        """
        try:
            return await asyncio.wait_for(asyncio.shield(self._code), seconds)
        except TimeoutError:
            raise Unavailable(
                f"nobody granted access within {seconds:g} s: nothing was stored; run `gda connect` again"
            ) from None

    def hear(self, target: str) -> tuple[int, str]:
        """Take a request's target; the status and the sentence to answer with."""
        try:
            code = self.read(dict(parse_qsl(urlsplit(target).query)))
        except GdaError as error:
            if not self._code.done():
                self._code.set_exception(error)
            return 200, _REFUSED
        if code is None:
            return 404, _UNRELATED
        if not self._code.done():
            self._code.set_result(code)
        return 200, _DONE

    def close(self) -> None:
        """Nobody waits any more."""
        self._code.cancel()


@asynccontextmanager
async def listening() -> AsyncIterator[Redirect]:
    """Listen on a free port of 127.0.0.1 until the block ends.

    Raises:
        Unavailable: no port can be had.
    """
    waiting: list[Redirect] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, ValueError):
            await _answer(waiting[0], reader, writer)
        writer.close()

    try:
        server = await asyncio.start_server(answer, HOST, 0, limit=_LONGEST_LINE)
    except OSError as error:
        raise Unavailable(f"no port of {HOST} can be listened on for the browser: {error.strerror}") from None
    redirect = Redirect(f"http://{HOST}:{server.sockets[0].getsockname()[1]}/")
    waiting.append(redirect)
    try:
        yield redirect
    finally:
        server.close()
        redirect.close()


async def _answer(redirect: Redirect, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async with asyncio.timeout(_LINE_SECONDS):
        first = (await reader.readline()).decode("latin-1").split()
        # A browser whose headers nobody read may show a reset instead of the page.
        while (await reader.readline()).strip():
            pass
    status, text = redirect.hear(first[1]) if len(first) == 3 and first[0] == "GET" else (400, _UNRELATED)
    body = f"<!doctype html><title>GDA</title><p>{text}</p>".encode()
    head = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'No'}\r\nContent-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\n"
        "Connection: close\r\n\r\n"
    )
    writer.write(head.encode("ascii") + body)
    await writer.drain()
