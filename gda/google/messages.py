"""What Gmail's JSON says about messages, as values; what is wrong with it is said without quoting it."""

from base64 import urlsafe_b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from gda.errors import ProviderError


class Malformed(ValueError):
    """An answer that is not what Gmail's reference promises."""


@dataclass(frozen=True, slots=True)
class MessageRef:
    """A listed message."""

    id: str
    thread_id: str


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A whole message; ``received_at`` is Gmail's own time of receipt, aware, not the sender's claim."""

    id: str
    thread_id: str
    labels: tuple[str, ...]
    received_at: datetime
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unfetched:
    """A message that could not be had, and why: ``Gone`` if it was deleted since it was listed."""

    id: str
    error: ProviderError


Fetched = RawMessage | Unfetched


@dataclass(frozen=True, slots=True)
class Profile:
    """Whose mailbox an access token opens, and its newest history id."""

    email_address: str = field(repr=False)
    history_id: str


@dataclass(frozen=True, slots=True)
class History:
    """Messages added since a history id, each once, and the id to go on from."""

    added: tuple[MessageRef, ...]
    history_id: str


def read_json(body: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        Malformed: it is not one.
    """
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise Malformed("the answer is not a JSON object")
    return parsed


def read_refs(entries: object) -> list[MessageRef]:
    """Read ``[{"id": .., "threadId": ..}, ..]``; None, which stands for no message, is empty.

    Raises:
        Malformed: an entry without an id.
    """
    try:
        return [_ref(entry) for entry in _list(entries)]
    except (TypeError, KeyError, AttributeError):
        raise Malformed("a listed message has no id") from None


def read_added(records: object) -> list[MessageRef]:
    """Read the messages added in a page of ``history.list``.

    Raises:
        Malformed: a record that is not one.
    """
    try:
        return [_ref(entry["message"]) for record in _list(records) for entry in _list(record.get("messagesAdded"))]
    except (TypeError, KeyError, AttributeError):
        raise Malformed("a history record is not one") from None


def read_raw(body: bytes) -> RawMessage:
    """Read a message in ``format=raw``.

    Raises:
        Malformed: a field is missing or not of its kind.
    """
    fields = read_json(body)
    try:
        return RawMessage(
            id=_text(fields["id"]),
            thread_id=_text(fields.get("threadId", "")),
            labels=tuple(_text(label) for label in fields.get("labelIds", ())),
            received_at=datetime.fromtimestamp(int(fields["internalDate"]) / 1000, UTC),
            # Gmail pads; surplus padding is ignored, so one that does not pad is read as well.
            raw=urlsafe_b64decode(_text(fields["raw"]) + "=="),
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        raise Malformed("the message lacks a field or holds one of the wrong kind") from None


def read_headers(body: bytes, names: Iterable[str]) -> dict[str, str]:
    """Read the headers of a message in ``format=metadata``, keyed as spelled in ``names``; the first of each counts.

    Raises:
        Malformed: a header without name or value.
    """
    payload = read_json(body).get("payload")
    entries = payload.get("headers", ()) if isinstance(payload, dict) else ()
    wanted = {name.lower(): name for name in names}
    found: dict[str, str] = {}
    try:
        for entry in entries:
            name = wanted.get(_text(entry["name"]).lower())
            if name is not None:
                found.setdefault(name, _text(entry["value"]))
    except (KeyError, TypeError, AttributeError):
        raise Malformed("a message header has no name or value") from None
    return found


def _list(value: object) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise TypeError
    return value or []


def _ref(entry: dict[str, object]) -> MessageRef:
    return MessageRef(_text(entry["id"]), _text(entry.get("threadId", "")))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
