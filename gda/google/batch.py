"""Google's batch format: many small HTTP calls in one multipart/mixed body, and their answers in another.

Google answers in any order and marks the answer to ``<n>`` with ``<response-n>``. Bytes in, bytes out: the ``email``
package would take longer over a batch of raw mails than all the rest of the work.
Source: developers.google.com/gmail/api/guides/batch; RFC 2046 section 5.1.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

BOUNDARY = "gda_batch"
CONTENT_TYPE = f"multipart/mixed; boundary={BOUNDARY}"

_PART = f"--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: <%d>\r\n\r\nGET %s HTTP/1.1\r\n\r\n\r\n"
_BOUNDARY_PARAMETER = re.compile(r'boundary=(?:"([^"]{1,200})"|([^\s;]{1,200}))', re.IGNORECASE)
_CONTENT_ID = re.compile(r"(\d{1,6})>?$")


class MalformedBatch(ValueError):
    """The body is not a whole batch answer; the text quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One inner answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def encode(targets: Sequence[str]) -> bytes:
    """Write GET calls as one body to be sent with ``CONTENT_TYPE``.

    Args:
        targets: paths with their queries, already percent-encoded.

    Returns:
        The body; the call at index ``n`` has the content id ``<n>``.

    Raises:
        ValueError: a target holds white space or a control character and would be read as more than a target.
    """
    if any(not target.isascii() or not target.isprintable() or " " in target for target in targets):
        raise ValueError("a batch target must be percent-encoded")
    return ("".join([_PART % call for call in enumerate(targets)]) + f"--{BOUNDARY}--\r\n").encode("ascii")


def decode(content_type: str, body: bytes) -> dict[int, Part]:
    """Read the answers of a batch.

    Args:
        content_type: the outer answer's, for its boundary.
        body: the outer answer's.

    Returns:
        Each answer by the index of its call; calls that got none are absent.

    Raises:
        MalformedBatch: no boundary, cut short, or an inner answer that is not HTTP.
    """
    found = _BOUNDARY_PARAMETER.search(content_type)
    if found is None:
        raise MalformedBatch("the batch answer names no boundary")
    delimiter = b"--" + (found[1] or found[2]).encode("latin-1")
    start, end = _next_delimiter(body, delimiter, 0), len(body)
    parts: dict[int, Part] = {}
    while start < end and not body.startswith(b"--", start + len(delimiter)):
        following = _next_delimiter(body, delimiter, start + len(delimiter))
        index, part = _decode_part(body, start + len(delimiter), following)
        parts[len(parts) if index is None else index] = part
        start = following
    if start == end:
        raise MalformedBatch("the batch answer is cut short")
    return parts


def _next_delimiter(body: bytes, delimiter: bytes, start: int) -> int:
    """Where the next delimiter at the start of a line stands, or the body's length."""
    at = body.find(delimiter, start)
    while at > 0 and body[at - 1] != 0x0A:
        at = body.find(delimiter, at + 1)
    return at if at >= 0 else len(body)


def _decode_part(body: bytes, start: int, end: int) -> tuple[int | None, Part]:
    outer, inner_at = _header_block(body, start, end)
    inner, content_at = _header_block(body, inner_at, end)
    status = inner[0].split(None, 2) if inner else []
    if len(status) < 2 or not status[0].startswith("HTTP/") or not status[1].isdigit():
        raise MalformedBatch("an inner answer of the batch has no status line")
    identity = _CONTENT_ID.search(_headers(outer).get("content-id", ""))
    content = body[content_at:end].rstrip(b"\r\n")
    return int(identity[1]) if identity else None, Part(int(status[1]), _headers(inner[1:]), content)


def _header_block(body: bytes, start: int, end: int) -> tuple[list[str], int]:
    """The lines up to the next empty one, and where what follows it begins."""
    while body.startswith((b"\r", b"\n"), start, end):
        start += 1
    crlf = body.find(b"\r\n\r\n", start, end)
    lf = body.find(b"\n\n", start, end if crlf < 0 else crlf)
    at, width = (lf, 2) if lf >= 0 else (crlf, 4)
    if at < 0:
        at, width = end, 0
    return body[start:at].decode("latin-1").splitlines(), at + width


def _headers(lines: list[str]) -> dict[str, str]:
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
