"""The parts of a mail: find the text worth reading and the names of what is attached, in one bounded walk."""

import binascii
import re
from dataclasses import dataclass, field
from email.message import Message as Headers

from .charsets import decode
from .headers import decode_words, fields, one_line, split, unfold
from .headers import from_base64 as _from_base64
from .text import cut_uuencoded, html_to_text, own_words

MAX_PARTS = 400
MAX_DEPTH = 30
MAX_ATTACHMENTS = 50
FILENAME_LIMIT = 120
# Enough raw bytes for 8,000 characters of text, however much markup and style stands around them.
PLAIN_LIMIT = 48_000
HTML_LIMIT = 192_000

PART_FIELDS = frozenset({b"content-type", b"content-transfer-encoding", b"content-disposition"})
_PARAMETER = {
    name: re.compile(rf';\s*{name}\s*=\s*(?:"((?:[^"\\]|\\.)*+)"|([^\s;]+))', re.IGNORECASE)
    for name in ("boundary", "charset", "name", "filename")
}
_STARRED = re.compile(r";\s*(?:file)?name\*", re.IGNORECASE)
_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)


@dataclass(slots=True)
class Body:
    """What a walk found; ``text`` is ready to read, ``problems`` are short codes."""

    text: str = ""
    attachments: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Part:
    start: int
    end: int
    depth: int
    fields: dict[bytes, bytes]
    kind: str = ""
    content_type: str = ""
    encoding: str = ""


@dataclass(slots=True)
class _Walk:
    raw: bytes
    body: Body
    plain: list[_Part] = field(default_factory=list)
    html: list[_Part] = field(default_factory=list)
    stack: list[_Part] = field(default_factory=list)
    left: int = MAX_PARTS


def read_body(raw: bytes, start: int, top: dict[bytes, bytes]) -> Body:
    """Walk the mail whose body starts at ``start`` and whose fields are ``top``; linear in size, never recursive."""
    walk = _Walk(raw, Body())
    walk.stack.append(_Part(start, len(raw), 0, top))
    while walk.stack:
        _visit(walk, walk.stack.pop())
    walk.body.text = _text(walk)
    return walk.body


def parameter(value: str, name: str) -> str:
    """A parameter of an unfolded MIME header, unquoted, or nothing."""
    found = _PARAMETER[name].search(value)
    if found is None:
        return ""
    return re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else found[2]


def _visit(walk: _Walk, part: _Part) -> None:
    part.content_type = unfold(part.fields.get(b"content-type", b""))
    kind = part.content_type.partition(";")[0].strip().lower()
    part.kind = kind if "/" in kind else "text/plain"
    part.encoding = part.fields.get(b"content-transfer-encoding", b"").decode("latin-1").strip(" ;\t").lower()
    if part.kind.startswith("multipart/"):
        _split_multipart(walk, part)
        return
    disposition = unfold(part.fields.get(b"content-disposition", b""))
    attached = disposition[:10].lower() == "attachment"
    if part.kind == "text/html" and not attached:
        walk.html.append(part)
    elif part.kind in ("text/plain", "text/enriched", "text") and not attached:
        walk.plain.append(part)
    else:
        _attachment(walk.body, part, disposition, attached)


def _split_multipart(walk: _Walk, part: _Part) -> None:
    boundary = parameter(part.content_type, "boundary").encode("utf-8", "replace").rstrip()
    if part.depth >= MAX_DEPTH:
        walk.body.problems.append("nested-too-deep")
        return
    children = _children(walk, part, boundary) if boundary else []
    if not children:
        walk.body.problems.append("no-parts")
        part.kind = "text/plain"
        walk.plain.append(part)
    walk.stack.extend(reversed(children))


def _children(walk: _Walk, part: _Part, boundary: bytes) -> list[_Part]:
    marker = b"--" + boundary
    found: list[_Part] = []
    begin = -1
    at = walk.raw.find(marker, max(part.start - 1, 0), part.end)
    tries = 4 * MAX_PARTS
    while at >= 0 and tries:
        tries -= 1
        after = at + len(marker)
        if _is_line(walk.raw, at, after, part.end):
            if begin >= 0:
                found.append(_part(walk.raw, begin, at, part.depth + 1))
                walk.left -= 1
            line_end = walk.raw.find(b"\n", after, part.end)
            begin = line_end + 1 if line_end >= 0 else part.end
            if walk.raw.startswith(b"--", after) or walk.left <= 0:
                begin = -1
                break
        at = walk.raw.find(marker, after, part.end)
    if walk.left <= 0 or not tries:
        walk.body.problems.append("too-many-parts")
    elif begin >= 0:
        found.append(_part(walk.raw, begin, part.end, part.depth + 1))
        walk.left -= 1
    return found


def _is_line(raw: bytes, at: int, after: int, end: int) -> bool:
    if at > 0 and raw[at - 1] not in b"\r\n":
        return False
    tail = raw[after : min(after + 3, end)]
    return tail[:2] == b"--" or not tail or tail[:1] in (b"\r", b"\n", b" ", b"\t")


def _part(raw: bytes, begin: int, end: int, depth: int) -> _Part:
    # The header block of a part is short; looking no further keeps attachments of megabytes out of it.
    head, offset = split(raw[begin : min(end, begin + 16_000)])
    return _Part(begin + offset, end, depth, fields(head, PART_FIELDS))


def _attachment(body: Body, part: _Part, disposition: str, attached: bool) -> None:
    name = _filename(disposition, part.content_type)
    if part.kind == "application/pgp-signature" or part.kind.startswith("application/pkcs7-sig"):
        return
    if not name and part.kind == "message/rfc822":
        name = "attached message"
    if part.kind.startswith("image/") and not attached and part.depth > 0:
        return  # Logos and tracking pictures of the layout, not something a person attached.
    if (name or attached) and len(body.attachments) < MAX_ATTACHMENTS:
        body.attachments.append(name or "unnamed file")


def _filename(disposition: str, content_type: str) -> str:
    name = parameter(disposition, "filename") or parameter(content_type, "name")
    if not name and (_STARRED.search(disposition) or _STARRED.search(content_type)):
        try:
            headers = Headers()
            headers["Content-Disposition"] = disposition or "attachment"
            headers["Content-Type"] = content_type or "application/octet-stream"
            name = headers.get_filename("")
        except Exception:  # RFC 2231 continuations break the standard library in several ways.
            name = ""
    return one_line(decode_words(name).replace("\\", "/").rpartition("/")[2], FILENAME_LIMIT)


def _text(walk: _Walk) -> str:
    for part in walk.plain:
        text, names = cut_uuencoded(_decoded(walk, part, PLAIN_LIMIT))
        walk.body.attachments += [one_line(name, FILENAME_LIMIT) for name in names]
        if words := own_words(text):
            return words
    for part in walk.html:
        if words := own_words(html_to_text(_decoded(walk, part, HTML_LIMIT))):
            return words
    return ""


def _decoded(walk: _Walk, part: _Part, limit: int) -> str:
    data = walk.raw[part.start : min(part.end, part.start + limit)]
    data = _untransfer(data, part.encoding, walk.body.problems)
    charset = parameter(part.content_type, "charset")
    if not charset and part.kind == "text/html" and (meta := _META.search(data[:4096])):
        charset = meta[1].decode("ascii")
    text, problem = decode(data, charset)
    if problem:
        walk.body.problems.append(problem)
    return text


def _untransfer(data: bytes, encoding: str, problems: list[str]) -> bytes:
    encoding = encoding.replace(" ", "")
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data)
    if encoding == "base64":
        return _from_base64(data)
    if encoding in ("x-uuencode", "x-uue", "uuencode"):
        return _from_uuencode(data)
    if encoding not in ("", "7bit", "8bit", "binary"):
        problems.append("bad-transfer-encoding")
    return data


def _from_uuencode(data: bytes) -> bytes:
    decoded = []
    for line in data.splitlines():
        if line.startswith(b"begin ") or line == b"end":
            continue
        try:
            decoded.append(binascii.a2b_uu(line))
        except binascii.Error:
            continue
    return b"".join(decoded)
