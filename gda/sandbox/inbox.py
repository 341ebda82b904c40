"""The inbox page: what the sink accepted, readable by people (HTML) and by programs (JSON).

Mail is shown as hostile: its HTML lives in a sandboxed frame without scripts, forms, links out or network.
"""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gda.sandbox.accepted import Accepted
from gda.sandbox.mime import decode_bytes, first_html
from gda.sandbox.state import Sandbox

PAGE_SIZE = 50
MAX_RAW_SHOWN = 200_000
FRAME_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
PAGE_POLICY = f"{FRAME_POLICY}; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
SHOWN_HEADERS = ("From", "To", "Cc", "Subject", "Date", "Message-ID", "X-GDA-Occurrence", "List-Unsubscribe")

View = Callable[[Request], Response]


def inbox_routes(sandbox: Sandbox) -> list[Route]:
    """Return the routes of the inbox over one sandbox's accepted mail."""
    views: dict[str, Callable[[Sandbox, Request], Response]] = {
        "/": _home,
        "/inbox": _list_page,
        "/inbox.json": _list_json,
        "/inbox/{number:int}": _mail_page,
        "/inbox/{number:int}.eml": _mail_raw,
        "/inbox/{number:int}.html": _mail_frame,
        "/inbox/{number:int}.json": _mail_json,
    }
    return [Route(path, _endpoint(sandbox, view), methods=["GET"]) for path, view in views.items()]


def _endpoint(
    sandbox: Sandbox, view: Callable[[Sandbox, Request], Response]
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        response = view(sandbox, request)
        response.headers.setdefault("content-security-policy", PAGE_POLICY)
        response.headers["x-content-type-options"] = "nosniff"
        response.headers["referrer-policy"] = "no-referrer"
        return response

    return answer


def _home(sandbox: Sandbox, request: Request) -> Response:
    return RedirectResponse("/inbox")


def _list_page(sandbox: Sandbox, request: Request) -> Response:
    user = request.query_params.get("user", "").strip().lower()
    found = sandbox.accepted.find(user or None)
    pages = max(1, ceil(len(found) / PAGE_SIZE))
    page = min(max(1, _whole(request, "page", 1)), pages)
    newest_first = found[::-1][(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    users = sandbox.accepted.users()
    return _html(
        "inbox.html",
        messages=newest_first,
        total=len(found),
        everything=len(sandbox.accepted),
        users=users[:200],
        hidden_users=max(0, len(users) - 200),
        user=user,
        page=page,
        pages=pages,
    )


def _list_json(sandbox: Sandbox, request: Request) -> Response:
    user = request.query_params.get("user", "").strip().lower()
    found = sandbox.accepted.find(user or None, request.query_params.get("occurrence"))
    limit = max(0, _whole(request, "limit", 100))
    newest_first = found[: -limit - 1 : -1]
    return _json({"messages": [message.as_json() for message in newest_first], "total": len(found)})


def _mail_page(sandbox: Sandbox, request: Request) -> Response:
    message = _mail(sandbox, request)
    if message is None:
        return _absent(sandbox)
    raw = decode_bytes(message.content.raw[:MAX_RAW_SHOWN])
    known = {name.lower() for name in SHOWN_HEADERS}
    return _html(
        "message.html",
        message=message,
        headers=[(name, value) for name, value in message.content.headers if name.lower() in known],
        has_html=bool(first_html(message.content.tree)),
        text=message.content.text,
        attachments=[part for part in message.content.tree.walk() if part.filename],
        raw=raw,
        raw_is_cut=len(message.content.raw) > MAX_RAW_SHOWN,
        newer=message.number + 1 if message.number < len(sandbox.accepted) else None,
        older=message.number - 1 or None,
    )


def _mail_frame(sandbox: Sandbox, request: Request) -> Response:
    message = _mail(sandbox, request)
    if message is None:
        return _absent(sandbox)
    response = Response(first_html(message.content.tree).encode("utf-8", "replace"), media_type="text/html")
    response.headers["content-security-policy"] = f"{FRAME_POLICY}; sandbox; frame-ancestors 'self'"
    return response


def _mail_raw(sandbox: Sandbox, request: Request) -> Response:
    message = _mail(sandbox, request)
    return Response(message.content.raw, media_type="message/rfc822") if message else _absent(sandbox)


def _mail_json(sandbox: Sandbox, request: Request) -> Response:
    message = _mail(sandbox, request)
    if message is None:
        return _json({"error": {"code": 404, "message": "no such message"}}, 404)
    content = message.content
    shown = {"headers": content.headers, "text": content.text, "html": first_html(content.tree)}
    return _json({**message.as_json(), **shown})


def _mail(sandbox: Sandbox, request: Request) -> Accepted | None:
    return sandbox.accepted.get(request.path_params["number"])


def _absent(sandbox: Sandbox) -> Response:
    return _html("absent.html", status=404, total=len(sandbox.accepted))


def _whole(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


@lru_cache(maxsize=1)
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["initial"] = lambda text: (text.strip(' "<') or "?")[0].upper()
    templates.filters["hue"] = lambda text: sum(text.encode()) * 47 % 360
    templates.filters["bytesize"] = lambda size: f"{size / 1024:.0f} kB" if size >= 1024 else f"{size} B"
    return templates


def _html(template: str, status: int = 200, **values: Any) -> Response:
    text = _templates().get_template(template).render(**values)
    return Response(text.encode("utf-8", "replace"), status, media_type="text/html; charset=utf-8")


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
