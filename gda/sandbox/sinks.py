"""The chat sink, a webhook that takes JSON, and the push sink, a push service (RFC 8030) for encrypted messages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gda.sandbox.notices import ChatMessage, PushMessage
from gda.sandbox.state import Sandbox

Take = Callable[[Sandbox, str, Request, bytes], Response]
KEPT_HEADERS = ("authorization", "content-encoding", "ttl")
MOST_PUSHED = 4096


def sink_routes(sandbox: Sandbox) -> list[Route]:
    """Return the routes of both sinks over one sandbox's state."""
    return [
        Route("/chat/{name}", _endpoint(sandbox, "chat", take_chat), methods=["POST"]),
        Route("/push/{name}", _endpoint(sandbox, "push", take_push), methods=["POST"]),
    ]


def take_chat(sandbox: Sandbox, name: str, request: Request, body: bytes) -> Response:
    """Take one chat message: a JSON object with ``title`` and ``message``."""
    try:
        values: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        values = None
    if not isinstance(values, dict):
        return Response("a JSON object is wanted", 400)
    message = ChatMessage(name, str(values.get("title", "")), str(values.get("message", "")), sandbox.now_ms)
    sandbox.notices.chat.append(message)
    return Response(b"{}", 200, media_type="application/json")


def take_push(sandbox: Sandbox, name: str, request: Request, body: bytes) -> Response:
    """Take one push, as a push service does: signed, encrypted, with a TTL, and not for a browser that is gone."""
    if name in sandbox.notices.gone:
        return Response("push subscription has unsubscribed or expired", 410)
    headers = {key: request.headers.get(key, "") for key in KEPT_HEADERS}
    if not headers["ttl"].isdigit() or headers["content-encoding"] != "aes128gcm":
        return Response("TTL and Content-Encoding: aes128gcm are wanted", 400)
    if not headers["authorization"].startswith("vapid t="):
        return Response("Authorization: vapid is wanted", 401)
    if len(body) > MOST_PUSHED:
        return Response("at most 4096 bytes", 413)
    sandbox.notices.push.append(PushMessage(name, headers, body, sandbox.now_ms))
    return Response(status_code=201, headers={"location": f"/push/{name}/{len(sandbox.notices.push)}"})


def _endpoint(sandbox: Sandbox, sink: str, take: Take) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        name, body = request.path_params["name"], await request.body()
        sandbox.requests[sink] += 1
        faults = sandbox.faults
        limit = faults.take("rate_limit", sink, name) if faults else None
        if limit:
            return Response("slow down", 429, headers={"retry-after": str(limit.retry_after)})
        error = faults.take("server_error", sink, name) if faults else None
        if error and not error.after:
            return Response("error", error.status)
        response = take(sandbox, name, request, body)
        slow = faults.take("slow", sink, name) if faults else None
        if slow:
            await asyncio.sleep(slow.seconds)
        return Response("error", error.status) if error else response

    return answer
