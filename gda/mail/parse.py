"""Raw bytes of a mail to a ``Message``, whatever the bytes."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from .addresses import addresses_in, parse_address
from .body import Body, charset_of, read_body
from .headers import decode_words, fields, one_line, unfold
from .message import NO_SENDER, NO_SUBJECT, Address, Message
from .structure import Part, read_structure

SUBJECT_LIMIT = 500

_FIELDS = frozenset(
    {
        "from",
        "sender",
        "to",
        "subject",
        "date",
        "message-id",
        "in-reply-to",
        "list-id",
        "list-unsubscribe",
        "precedence",
        "auto-submitted",
        "x-gda-occurrence",
    }
)
_EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)


def parse_message(
    raw: bytes, *, id: str, thread_id: str, received_at: datetime, labels: frozenset[str] = frozenset()
) -> Message:
    """Read one mail; never raises, whatever ``raw`` holds, so that no mail can stop a digest.

    ``raw`` is the RFC 5322 form (decoded from Gmail's base64url), ``id`` and ``thread_id`` are Gmail's,
    ``received_at`` is Gmail's internalDate (aware, UTC). Returns a ``Message`` whose sender and subject are what a
    person reading the file would say, or an honest placeholder that ``placeholders`` names. Damage is noted in
    ``problems``.
    """
    try:
        return _parse(raw, id, thread_id, received_at, labels)
    except Exception:  # The last net: a mail that breaks this code is still listed and counted.
        return Message(
            id=id,
            thread_id=thread_id,
            received_at=received_at,
            sender=Address(NO_SENDER, ""),
            subject=NO_SUBJECT,
            labels=labels,
            problems=("unreadable",),
            placeholders=frozenset({"sender", "subject"}),
        )


def _parse(raw: bytes, id: str, thread_id: str, received_at: datetime, labels: frozenset[str]) -> Message:
    structure = read_structure(raw)
    found = fields(structure.root, _FIELDS)
    body = _body(structure.root)
    hint = charset_of(structure.root)
    sender = _sender(found, hint)
    subject = one_line(decode_words(unfold(found.get("subject", b""), hint)), SUBJECT_LIMIT)
    sent_at, date_problem = _sent_at(found.get("date", b""), received_at)
    problems = dict.fromkeys([*structure.problems, *body.problems, *date_problem])
    missing = [*([] if sender else ["sender"]), *([] if subject else ["subject"])]
    return Message(
        id=id,
        thread_id=thread_id,
        received_at=received_at,
        sender=sender or Address(NO_SENDER, ""),
        subject=subject or NO_SUBJECT,
        sent_at=sent_at,
        text=body.text,
        labels=labels,
        bulk=_is_bulk(found),
        attachments=tuple(body.attachments),
        message_id=one_line(unfold(found.get("message-id", b"")), 998),
        occurrence=one_line(unfold(found.get("x-gda-occurrence", b"")), 200),
        problems=tuple(problems),
        placeholders=frozenset(missing),
        to=addresses_in(unfold(found.get("to", b""))),
        reply="in-reply-to" in found or subject[:3].lower() in ("re:", "aw:", "sv:"),
    )


def _body(root: Part) -> Body:
    try:
        return read_body(root)
    except Exception:  # Sender and subject are still good; only the excerpt is lost.
        return Body(problems=["unreadable-body"])


def _sender(found: dict[str, bytes], hint: str) -> Address | None:
    for name in ("from", "sender"):
        address = parse_address(unfold(found.get(name, b""), hint))
        if address is not None:
            return address
    return None


def _sent_at(value: bytes, received_at: datetime) -> tuple[datetime | None, list[str]]:
    if not value:
        return None, ["no-date"]
    try:
        sent = parsedate_to_datetime(unfold(value))
        sent = sent.replace(tzinfo=UTC) if sent.tzinfo is None else sent.astimezone(UTC)
        if _EARLIEST <= sent <= received_at + timedelta(days=2):
            return sent, []
    except Exception:  # ValueError, TypeError, OverflowError and IndexError are all seen on broken dates.
        pass
    return None, ["bad-date"]


def _is_bulk(found: dict[str, bytes]) -> bool:
    if "list-unsubscribe" in found or "list-id" in found:
        return True
    if found.get("precedence", b"").strip().lower() in (b"bulk", b"list", b"junk"):
        return True
    # RFC 3834, section 5: anything but "no" was sent by a machine.
    return found.get("auto-submitted", b"no").partition(b";")[0].strip().lower() not in (b"no", b"")
