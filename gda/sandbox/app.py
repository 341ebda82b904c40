"""The ASGI application: Google's calls on a short path of their own, everything for people and tests on Starlette."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.applications import Starlette

from gda.sandbox.batch import answer_batch
from gda.sandbox.consent import PATH as CONSENT
from gda.sandbox.control import control_routes
from gda.sandbox.inbox import inbox_routes
from gda.sandbox.respond import answer_call, answer_refresh, answer_sign_in
from gda.sandbox.sinks import sink_routes
from gda.sandbox.smtp import MAX_BYTES
from gda.sandbox.state import Sandbox
from gda.sandbox.wire import Call, Reply, bearer_token, google_error

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
_TRICKLES_PER_SECOND = 10


def create_app(sandbox: Sandbox) -> Application:
    """Build the application over one sandbox's state.

    Args:
        sandbox: the state; the application keeps none of its own.

    Returns:
        An ASGI application for HTTP alone.
    """
    pages = Starlette(routes=[*inbox_routes(sandbox), *control_routes(sandbox), *sink_routes(sandbox)])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        if path.startswith(("/gmail/", "/calendar/", "/batch")) or path in ("/token", CONSENT):
            await _answer_google(sandbox, scope, receive, send)
        else:
            await pages(scope, receive, send)

    return app


async def _answer_google(sandbox: Sandbox, scope: Scope, receive: Receive, send: Send) -> None:
    headers = dict(scope["headers"])
    body = await _read_body(receive)
    if body is None:
        return
    path: str = scope["path"]
    call = Call(
        method=scope["method"],
        path=path,
        query=scope["query_string"].decode("latin-1"),
        token=bearer_token(headers.get(b"authorization", b"")),
        body=body,
        now_ms=sandbox.now_ms,
    )
    if len(body) > 2 * MAX_BYTES:
        reply = google_error(413, "uploadTooLarge", "Request payload is too large")
    elif path.startswith("/batch"):
        reply = answer_batch(sandbox, call, headers.get(b"content-type", b""))
    elif path == "/token":
        reply = answer_refresh(sandbox, call)
    elif path == CONSENT:
        reply = answer_sign_in(sandbox, call)
    else:
        reply = answer_call(sandbox, call)
    await _send_reply(reply, send)


async def _read_body(receive: Receive) -> bytes | None:
    pieces: list[bytes] = []
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        pieces.append(event.get("body", b""))
        if not event.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _send_reply(reply: Reply, send: Send) -> None:
    if reply.delay:
        await asyncio.sleep(reply.delay)
    headers = [
        (b"content-type", reply.content_type),
        (b"content-length", str(len(reply.body)).encode()),
        *reply.headers,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.bytes_per_second:
        step = max(1, reply.bytes_per_second // _TRICKLES_PER_SECOND)
        for start in range(0, len(reply.body), step):
            await send({"type": "http.response.body", "body": reply.body[start : start + step], "more_body": True})
            await asyncio.sleep(step / reply.bytes_per_second)
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.body", "body": reply.body})
