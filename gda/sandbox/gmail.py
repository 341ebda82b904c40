"""The part of Gmail's REST interface (v1) that GDA uses, over the sandbox's mailboxes.

``fields=`` masks are accepted and ignored: answers are always whole. Text parts keep the charset of the mail.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator
from email.utils import getaddresses
from itertools import islice, takewhile
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from gda.sandbox.accounts import Account
from gda.sandbox.content import Content
from gda.sandbox.mailbox import Mailbox, Message, position
from gda.sandbox.mime import Part
from gda.sandbox.query import Term, is_hidden, matches, only_message_id, parse_query, shows_hidden
from gda.sandbox.state import Sandbox
from gda.sandbox.wire import Call, Reply, google_error, json_reply

PREFIX = "/gmail/v1/users/"
Handler = Callable[[Sandbox, Account, Call, list[str]], Reply]
Query = dict[str, list[str]]


class _BadParameter(Exception):
    """A query parameter or a body that Google would refuse with 400."""


def find_endpoint(method: str, path: str) -> tuple[str, Handler, list[str]] | None:
    """Return the end point's name, its handler and the ids in the path; None when there is no such call."""
    if not path.startswith(PREFIX):
        return None
    match method, path[len(PREFIX) :].split("/"):
        case "GET", [_, "messages"]:
            return "messages.list", _list, []
        case "POST", [_, "messages", "send"]:
            return "messages.send", _send, []
        case "GET", [_, "messages", message_id]:
            return "messages.get", _get, [message_id]
        case "GET", [_, "messages", message_id, "attachments", attachment_id]:
            return "attachments.get", _get_attachment, [message_id, attachment_id]
        case "GET", [_, "history"]:
            return "history.list", _history, []
        case "GET", [_, "profile"]:
            return "profile", _profile, []
    return None


def perform(sandbox: Sandbox, handler: Handler, account: Account, call: Call, ids: list[str]) -> Reply:
    """Carry out one call for the account that its token opened; errors come back as Google writes them."""
    user = unquote(call.path[len(PREFIX) :].partition("/")[0]).lower()
    if user not in ("me", account.email):
        return google_error(403, "forbidden", "Delegation denied for the user of this token.")
    try:
        return handler(sandbox, account, call, ids)
    except _BadParameter as error:
        return google_error(400, "invalidArgument", str(error))


def _list(sandbox: Sandbox, account: Account, call: Call, ids: list[str]) -> Reply:
    query = parse_qs(call.query)
    terms = parse_query(query["q"][0]) if "q" in query else ()
    limit = _number(query, "maxResults", 100, 500)
    before = _page_position(query)
    labels = {label.upper() for label in query.get("labelIds", ())}
    hidden = query.get("includeSpamTrash", ["false"])[0] == "true" or shows_hidden(terms)
    hidden = hidden or not labels.isdisjoint(("SPAM", "TRASH"))
    delay_ms = sandbox.faults.index_delay_ms(account.email) if sandbox.faults else 0
    found = (
        message
        for message in _candidates(account.mailbox, terms, before)
        if labels.issubset(message.labels)
        and (hidden or not is_hidden(message))
        and not (delay_ms and message.delivered_ms and message.delivered_ms > call.now_ms - delay_ms)
        and matches(message, terms, call.now_ms)
    )
    page = list(islice(found, limit + 1))
    answer: dict[str, Any] = {"resultSizeEstimate": len(page)}
    if page:
        answer["messages"] = [{"id": message.id, "threadId": message.thread_id} for message in page[:limit]]
    if len(page) > limit:
        answer["nextPageToken"] = _page_token(page[limit - 1])
    return json_reply(answer)


def _candidates(mailbox: Mailbox, terms: tuple[Term, ...], before: tuple[int, int] | None) -> Iterator[Message]:
    message_id = only_message_id(terms)
    if message_id is not None:
        found = mailbox.with_message_id(message_id)
        return (message for message in found if before is None or position(message) < before)
    oldest = max((term.number for term in terms if term.field == "after" and not term.negated), default=0)
    return takewhile(lambda message: message.internal_ms >= oldest, mailbox.newest_first(before))


def _get(sandbox: Sandbox, account: Account, call: Call, ids: list[str]) -> Reply:
    message = account.mailbox.get(ids[0])
    if message is None:
        return google_error(404, "notFound", "Requested entity was not found.")
    query = parse_qs(call.query)
    shape = query.get("format", ["full"])[0].lower()
    content = message.content
    answer: dict[str, Any] = {
        "id": message.id,
        "threadId": message.thread_id,
        "labelIds": message.labels,
        "snippet": content.snippet,
        "historyId": str(message.history_id),
        "internalDate": str(message.internal_ms),
        "sizeEstimate": len(content.raw),
    }
    if shape == "raw":
        answer["raw"] = orjson.Fragment(content.raw_json)
    elif shape == "metadata":
        answer["payload"] = {"mimeType": content.mime_type, "headers": _chosen_headers(content, query)}
    elif shape == "full":
        answer["payload"] = _payload(content.tree, content.headers)
    elif shape != "minimal":
        raise _BadParameter(f"Invalid value at 'format': {shape!r}")
    return json_reply(answer)


def _chosen_headers(content: Content, query: Query) -> list[dict[str, str]]:
    wanted = {name.lower() for name in query.get("metadataHeaders", ())}
    return [{"name": name, "value": value} for name, value in content.headers if not wanted or name.lower() in wanted]


def _payload(part: Part, headers: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> dict[str, Any]:
    body: dict[str, Any] = {"size": len(part.data)}
    if part.filename:
        body["attachmentId"] = f"part-{part.part_id or '0'}"
    elif part.data:
        body["data"] = urlsafe_b64encode(part.data).decode()
    payload: dict[str, Any] = {
        "partId": part.part_id,
        "mimeType": part.mime_type,
        "filename": part.filename,
        "headers": [{"name": name, "value": value} for name, value in headers],
        "body": body,
    }
    if part.parts:
        payload["parts"] = [_payload(child, child.headers) for child in part.parts]
    return payload


def _get_attachment(sandbox: Sandbox, account: Account, call: Call, ids: list[str]) -> Reply:
    message = account.mailbox.get(ids[0])
    wanted = ids[1].removeprefix("part-")
    parts = message.content.tree.walk() if message else iter(())
    part = next((part for part in parts if part.filename and (part.part_id or "0") == wanted), None)
    if part is None:
        return google_error(404, "notFound", "Requested entity was not found.")
    return json_reply({"size": len(part.data), "data": urlsafe_b64encode(part.data).decode()})


def _history(sandbox: Sandbox, account: Account, call: Call, ids: list[str]) -> Reply:
    query = parse_qs(call.query)
    start = query.get("pageToken", query.get("startHistoryId", [""]))[0]
    if not (start.isascii() and start.isdigit()):
        raise _BadParameter("Missing or invalid startHistoryId")
    added = account.mailbox.added_since(int(start))
    if added is None:
        return google_error(404, "notFound", "Requested entity was not found.")
    limit = _number(query, "maxResults", 100, 500)
    answer: dict[str, Any] = {"historyId": str(account.mailbox.history_id)}
    if "messageAdded" in query.get("historyTypes", ["messageAdded"]):
        label = query.get("labelId", [""])[0].upper()
        records = [_history_record(each) for each in added[:limit] if not label or label in each.labels]
        if records:
            answer["history"] = records
        if len(added) > limit:
            answer["nextPageToken"] = str(added[limit - 1].history_id)
    return json_reply(answer)


def _history_record(message: Message) -> dict[str, Any]:
    named = {"id": message.id, "threadId": message.thread_id}
    return {
        "id": str(message.history_id),
        "messages": [named],
        "messagesAdded": [{"message": {**named, "labelIds": message.labels}}],
    }


def _send(sandbox: Sandbox, account: Account, call: Call, ids: list[str]) -> Reply:
    try:
        encoded = orjson.loads(call.body)["raw"].replace("+", "-").replace("/", "_")
        raw = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (orjson.JSONDecodeError, Base64Error, KeyError, TypeError, AttributeError, ValueError):
        raise _BadParameter("'raw' RFC822 payload message string is missing or not base64url") from None
    headers = Content(raw).headers
    values = [value for name, value in headers if name.lower() in ("to", "cc", "bcc")]
    recipients = [address for _, address in getaddresses(values) if "@" in address]
    if not recipients:
        raise _BadParameter("Recipient address required")
    _, sent = sandbox.accept(raw, sender=account.email, recipients=recipients, channel="gmail", sent_by=account)
    assert sent is not None
    return json_reply({"id": sent.id, "threadId": sent.thread_id, "labelIds": ["SENT"]})


def _profile(sandbox: Sandbox, account: Account, call: Call, ids: list[str]) -> Reply:
    mailbox = account.mailbox
    return json_reply(
        {
            "emailAddress": account.email,
            "messagesTotal": len(mailbox),
            "threadsTotal": mailbox.thread_count,
            "historyId": str(mailbox.history_id),
        }
    )


def _number(query: Query, name: str, default: int, most: int) -> int:
    text = query.get(name, [str(default)])[0]
    if not (text.isascii() and text.isdigit()):
        raise _BadParameter(f"Invalid value at '{name}': {text!r}")
    return min(int(text), most) or default


def _page_token(message: Message) -> str:
    return f"{message.internal_ms}.{message.history_id}"


def _page_position(query: Query) -> tuple[int, int] | None:
    if "pageToken" not in query:
        return None
    time, dot, number = query["pageToken"][0].partition(".")
    if not (dot and f"{time}{number}".isdigit() and time and number):
        raise _BadParameter("Invalid pageToken")
    return int(time), int(number)
