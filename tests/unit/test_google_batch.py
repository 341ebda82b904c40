"""Google's multipart batches as bytes."""

import email
from typing import Any

import pytest

from gda.google.batch import CONTENT_TYPE, MalformedBatch, decode, encode

ANSWER_TYPE = "multipart/mixed; boundary=batch_abc"


def inner(index: int, status: str = "200 OK", body: bytes = b"{}") -> bytes:
    return (
        b"Content-Type: application/http\r\nContent-ID: <response-%d>\r\n\r\n"
        b"HTTP/1.1 %s\r\nContent-Type: application/json; charset=UTF-8\r\nRetry-After: 7\r\n\r\n%s\r\n"
    ) % (index, status.encode(), body)


def answer(*parts: bytes) -> bytes:
    return b"".join(b"--batch_abc\r\n" + part for part in parts) + b"--batch_abc--\r\n"


def test_calls_are_written_as_the_standard_parser_reads_them() -> None:
    body = encode(["/a?format=raw", "/b"])
    parsed = email.message_from_bytes(b"Content-Type: " + CONTENT_TYPE.encode() + b"\r\n\r\n" + body)
    parts: Any = parsed.get_payload()
    assert [part["Content-ID"] for part in parts] == ["<0>", "<1>"]
    assert [part.get_content_type() for part in parts] == ["application/http"] * 2
    assert parts[0].get_payload().startswith("GET /a?format=raw HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/ä", "/a\0"])
def test_a_target_that_could_smuggle_a_line_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="percent-encoded"):
        encode([target])


def test_answers_come_in_any_order_with_their_own_status() -> None:
    parts = decode(ANSWER_TYPE, answer(inner(1, "404 Not Found"), inner(0, body=b'{"id": "x"}')))
    assert parts[0].status == 200
    assert parts[0].body == b'{"id": "x"}'
    assert parts[1].status == 404
    assert parts[1].headers["retry-after"] == "7"


def test_headers_may_come_in_any_order_and_case_with_bare_line_feeds() -> None:
    part = b"content-id: response-3\nCONTENT-TYPE: application/http\n\nHTTP/2 429\nretry-after:5\n\n{}\n"
    parts = decode('Multipart/Mixed; charset=x; Boundary="batch_abc"', b"--batch_abc\n" + part + b"--batch_abc--")
    assert parts[3].status == 429
    assert parts[3].headers == {"retry-after": "5"}
    assert parts[3].body == b"{}"


def test_an_answer_without_an_id_counts_by_its_place() -> None:
    part = inner(9).replace(b"Content-ID: <response-9>\r\n", b"")
    assert list(decode(ANSWER_TYPE, answer(part, part))) == [0, 1]


def test_the_boundary_inside_a_body_is_no_delimiter() -> None:
    parts = decode(ANSWER_TYPE, answer(inner(0, body=b'{"x": "--batch_abc"}'), inner(1)))
    assert parts[0].body == b'{"x": "--batch_abc"}'
    assert len(parts) == 2


def test_a_part_may_have_no_body() -> None:
    part = b"Content-Type: application/http\r\nContent-ID: <response-0>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
    assert decode(ANSWER_TYPE, answer(part))[0].body == b""


def test_any_cut_is_noticed() -> None:
    whole = answer(inner(0), inner(1)).rstrip(b"\r\n")
    for length in range(len(whole) - 2):
        with pytest.raises(MalformedBatch):
            decode(ANSWER_TYPE, whole[:length])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("", b""),
        (ANSWER_TYPE, b"<html>"),
        (ANSWER_TYPE, b"--batch_abc\r\n\r\n\r\n--batch_abc--"),
        (ANSWER_TYPE, answer(b"Content-ID: <response-0>\r\n\r\nnonsense\r\n\r\n")),
        (ANSWER_TYPE, answer(b"Content-ID: <response-0>\r\n\r\nHTTP/1.1 x\r\n\r\n")),
    ],
)
def test_what_is_no_batch_answer_is_malformed(content_type: str, body: bytes) -> None:
    with pytest.raises(MalformedBatch):
        decode(content_type, body)
