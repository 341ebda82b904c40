"""Google's batch end point: up to 100 calls in one multipart request, each answered for itself.

Format: developers.google.com/gmail/api/guides/batch. Parts are cut out by hand: the general MIME parser costs more than
the calls themselves.
"""

import re
from http import HTTPStatus
from uuid import uuid4

from gda.sandbox.respond import answer_call, unauthenticated, with_faults
from gda.sandbox.state import Sandbox
from gda.sandbox.wire import Call, Reply, bearer_token, google_error

MAX_PARTS = 100
_BOUNDARY = re.compile(rb'boundary\s*=\s*(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_CONTENT_ID = re.compile(rb"^content-id:\s*<?([^>\r\n]*)>?", re.IGNORECASE | re.MULTILINE)
_AUTHORIZATION = re.compile(rb"^authorization:\s*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_REQUEST_LINE = re.compile(rb"\s*([A-Z]+)\s+(\S+)")


def answer_batch(sandbox: Sandbox, call: Call, content_type: bytes) -> Reply:
    """Answer a batch.

    Args:
        sandbox: the state.
        call: the outer request; its token serves the parts that bring none.
        content_type: the outer header, with the boundary.

    Returns:
        One multipart reply, with an answer to each part in order, or 400 as a whole when it is no batch or too long.
    """
    sandbox.requests["batch"] += 1
    boundary = _BOUNDARY.search(content_type)
    if call.method != "POST" or boundary is None:
        return google_error(400, "badRequest", "Failed to parse batch request, error: no multipart boundary")
    parts = split_parts(call.body, boundary[1] or boundary[2])
    if not parts:
        return google_error(400, "badRequest", "The batch request could not be processed: it holds no call")
    if len(parts) > MAX_PARTS:
        return google_error(400, "badRequest", f"The batch request holds {len(parts)} calls; at most {MAX_PARTS} may")
    if not sandbox.faults:
        return _answer_parts(sandbox, call, parts)
    account = sandbox.accounts.by_access_token(call.token, call.now_ms)
    user = account.email if account else ""
    return with_faults(sandbox, "batch", user, call.now_ms, lambda: _answer_parts(sandbox, call, parts))


def split_parts(body: bytes, boundary: bytes) -> list[bytes]:
    """Cut a multipart body into its parts, headers included; a part is what stands between two delimiters."""
    pieces = (b"\r\n" + body).split(b"\n--" + boundary)
    parts = []
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            break
        if piece.strip():
            parts.append(piece.lstrip(b" \t").removeprefix(b"\r").removeprefix(b"\n"))
    return parts


def _answer_parts(sandbox: Sandbox, outer: Call, parts: list[bytes]) -> Reply:
    boundary = b"batch_" + uuid4().hex.encode()
    pieces: list[bytes] = []
    delay = 0.0
    for part in parts:
        head, request = _split_once(part)
        reply = _answer_part(sandbox, outer, request)
        delay = max(delay, reply.delay)
        named = _CONTENT_ID.search(head)
        pieces += [b"--", boundary, b"\r\nContent-Type: application/http\r\n"]
        if named:
            pieces += [b"Content-ID: <response-", named[1], b">\r\n"]
        pieces += [b"\r\n", *_inner_response(reply), b"\r\n"]
    pieces += [b"--", boundary, b"--\r\n"]
    return Reply(200, b"".join(pieces), b"multipart/mixed; boundary=" + boundary, delay=delay)


def _answer_part(sandbox: Sandbox, outer: Call, request: bytes) -> Reply:
    line = _REQUEST_LINE.match(request)
    if line is None:
        return google_error(400, "badRequest", "A part of the batch holds no request line")
    inner_head, body = _split_once(request[line.end() :])
    own = _AUTHORIZATION.search(inner_head)
    token = bearer_token(own[1]) if own else outer.token
    if not token:
        return unauthenticated()
    target = line[2].decode("latin-1")
    if target.startswith(("http://", "https://")):
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("?")
    return answer_call(sandbox, Call(line[1].decode(), path, query, token, body, outer.now_ms))


def _inner_response(reply: Reply) -> list[bytes]:
    phrase = HTTPStatus(reply.status).phrase.encode()
    lines = [b"HTTP/1.1 ", str(reply.status).encode(), b" ", phrase, b"\r\n"]
    lines += [b"Content-Type: ", reply.content_type, b"\r\n"]
    for name, value in reply.headers:
        lines += [name, b": ", value, b"\r\n"]
    return [*lines, b"Content-Length: ", str(len(reply.body)).encode(), b"\r\n\r\n", reply.body]


def _split_once(data: bytes) -> tuple[bytes, bytes]:
    blank = _BLANK_LINE.search(data)
    return (data[: blank.start()], data[blank.end() :]) if blank else (data, b"")
