"""A bad line to an HTTP server: a proxy on loopback that is slow, refuses with 503, or loses answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["refuse", "lose"]


@dataclass
class BadLine:
    """Each ``every``-th request suffers: it is refused, or carried out and its answer lost; both look like a 503.

    ``url`` leads to the target's path through the proxy; ``suffered`` counts; ``delay`` (seconds) holds every request.
    """

    url: str = ""
    every: int = 3
    fault: Fault = "refuse"
    delay: float = 0.0
    requests: int = 0
    suffered: list[str] = field(default_factory=list)


BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 0.2\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy"


@asynccontextmanager
async def a_bad_line(
    target: str, *, every: int = 3, fault: Fault = "refuse", delay: float = 0
) -> AsyncIterator[BadLine]:
    """Open a bad line to the server at ``target``, an address such as ``http://127.0.0.1:4200/api``."""
    there = urlsplit(target)
    line = BadLine(every=every, fault=fault, delay=delay)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            request = await _request(reader)
            line.requests += 1
            suffers = line.requests % line.every == 0
            await asyncio.sleep(line.delay)
            answer = BUSY
            if not suffers or line.fault == "lose":
                answer = await _carried_out(there.hostname or "", there.port or 80, request)
            if suffers:
                line.suffered.append(request.partition(b" HTTP")[0].decode())
            writer.write(BUSY if suffers else answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    line.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{there.path}"
    try:
        yield line
    finally:
        server.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    length = next((int(one.split(b":")[1]) for one in lines if one.lower().startswith(b"content-length:")), 0)
    kept = [one for one in lines if not one.lower().startswith(b"connection:")]
    # One request for each connection, so that an answer's end is the connection's.
    return b"\r\n".join([kept[0], b"connection: close", *kept[1:]]) + await reader.readexactly(length)


async def _carried_out(host: str, port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer
