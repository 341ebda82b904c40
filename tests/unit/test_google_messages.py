"""Gmail's JSON as values."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from gda.google.messages import Malformed, MessageRef, read_added, read_headers, read_json, read_raw, read_refs

RAW = b"Subject: canary-4711\r\n\r\n" + bytes(range(256))


def message(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "id": "m1",
        "threadId": "t1",
        "labelIds": ["INBOX", "UNREAD"],
        "internalDate": "1772366400123",
        "raw": urlsafe_b64encode(RAW).decode(),
    }
    return orjson.dumps({key: value for key, value in (fields | changes).items() if value is not None})


def test_a_raw_message_is_read_with_gmails_time() -> None:
    read = read_raw(message())
    assert (read.id, read.thread_id, read.labels) == ("m1", "t1", ("INBOX", "UNREAD"))
    assert read.received_at == datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)
    assert read.raw == RAW


def test_base64_without_padding_is_read() -> None:
    for size in range(4):
        assert read_raw(message(raw=urlsafe_b64encode(b"x" * size).decode().rstrip("="))).raw == b"x" * size


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"raw": None},
        {"raw": 7},
        {"raw": "ä"},
        {"raw": "A"},
        {"internalDate": "soon"},
        {"internalDate": "9" * 30},
        {"labelIds": 3},
        {"labelIds": [3]},
        {"threadId": []},
    ],
)
def test_a_malformed_message_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read_raw(message(**changes))


def test_the_text_form_of_a_message_holds_nothing_of_its_content() -> None:
    assert "canary" not in repr(read_raw(message()))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"[" * 10000, b'{"a": "\xff"}'])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_json(body)


def test_no_listed_message_is_an_empty_list() -> None:
    assert read_refs(None) == []
    assert read_added(None) == []


@pytest.mark.parametrize("entries", ["m1", [7], [{}], [{"id": 7}], {"id": "m1"}])
def test_a_malformed_list_is_refused(entries: object) -> None:
    with pytest.raises(Malformed):
        read_refs(entries)
    with pytest.raises(Malformed):
        read_added([{"messagesAdded": entries}])


def test_messages_added_are_read() -> None:
    records = [{"id": "1"}, {"messagesAdded": [{"message": {"id": "m1", "threadId": "t1"}}]}]
    assert read_added(records) == [MessageRef("m1", "t1")]


def test_headers_are_found_in_any_case_and_the_first_counts() -> None:
    headers = [{"name": "x-gda-occurrence", "value": "1"}, {"name": "X-GDA-Occurrence", "value": "2"}]
    body = orjson.dumps({"payload": {"headers": [*headers, {"name": "Subject", "value": "s"}]}})
    assert read_headers(body, ["X-GDA-Occurrence", "From"]) == {"X-GDA-Occurrence": "1"}


def test_a_message_without_headers_has_none() -> None:
    assert read_headers(b"{}", ["From"]) == {}


def test_a_malformed_header_is_refused() -> None:
    with pytest.raises(Malformed):
        read_headers(b'{"payload": {"headers": [{"name": "From"}]}}', ["From"])
