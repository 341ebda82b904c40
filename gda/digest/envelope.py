"""The digest as an RFC 5322 mail: headers that cannot be injected into, bodies encoded once, bytes that never vary.

``EmailMessage`` parses and folds each structured header with a grammar and tries encodings on each body: 4 to 8 ms for
a digest. Here values are checked and encoded first and stored as they go out, which is what a parser would store.
"""

import binascii
import re
from datetime import datetime
from email import policy
from email.header import Header
from email.headerregistry import Address as Mailbox
from email.message import EmailMessage, MIMEPart
from email.utils import format_datetime, parseaddr
from functools import lru_cache

from gda.errors import UsageError
from gda.mail import Address

from .model import Recipient
from .render import Rendered

_UNSAFE = re.compile("[\x00-\x1f\x7f\u0085\u2028\u2029\ud800-\udfff]")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9!#$%&'*+/=?^_`{|}~.:-]{1,200}@[A-Za-z0-9.-]{1,253}>")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~:-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~:-]+)*")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")
_OCCURRENCE = re.compile(r"[\x21-\x7e]{1,200}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_LINE = 76
# Quoted-printable cannot produce "--==", so no body can hold this boundary. Source: RFC 2046, 5.1.1.
_BOUNDARY = "==gda-digest=="


def message_id_for(occurrence_id: str, domain: str) -> str:
    """The stable Message-ID of an occurrence's mail, so that a repeated send can be recognised.

    Raises ``UsageError`` where either part cannot stand in a Message-ID (RFC 5322, 3.6.4).
    """
    if not _ATOMS.fullmatch(occurrence_id) or len(occurrence_id) > 200 or not _DOMAIN.fullmatch(domain):
        raise UsageError(
            f"No Message-ID can be made of {occurrence_id[:80]!r} and {domain[:80]!r}: use letters, digits, - . _ :"
        )
    return f"<{occurrence_id}@{domain}>"


def build_email(
    rendered: Rendered,
    *,
    sender: str,
    recipient: Address | Recipient,
    message_id: str,
    occurrence_id: str,
    date: datetime,
) -> EmailMessage:
    """The mail to hand to a channel; equal arguments give equal bytes.

    ``sender`` is a From header (``GDA <gda@example.org>``), ``message_id`` comes from ``message_id_for``, ``date`` is
    aware. Raises ``UsageError`` where a value holds CR, LF, NUL or another control character, or is not what its
    header needs.
    """
    if date.tzinfo is None:
        raise UsageError("The Date header needs a time with a timezone; pass an aware datetime.")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise UsageError("A Message-ID must look like <name@domain>; use message_id_for.")
    if not _OCCURRENCE.fullmatch(occurrence_id):
        raise UsageError("An occurrence id in a header is 1 to 200 printable ASCII characters without spaces.")
    mail = EmailMessage(policy=policy.SMTP)
    mail.set_raw("From", _sender(sender))
    mail.set_raw("To", _mailbox(recipient.name, recipient.email, "To"))
    mail.set_raw("Subject", _words(_checked(rendered.subject, "Subject"), "Subject"))
    mail.set_raw("Date", format_datetime(date))
    mail.set_raw("Message-ID", message_id)
    mail.set_raw("X-GDA-Occurrence", occurrence_id)
    mail.set_raw("Auto-Submitted", "auto-generated")
    mail.set_raw("MIME-Version", "1.0")
    mail.set_raw("Content-Type", f'multipart/alternative; boundary="{_BOUNDARY}"')
    mail.set_payload([_part("plain", rendered.text), _part("html", rendered.html)])
    return mail


def as_bytes(mail: EmailMessage) -> bytes:
    """The bytes of a mail made by ``build_email``, the same as ``mail.as_bytes()`` gives but without folding again."""
    boundary = f"--{_BOUNDARY}"
    lines = [*_header_lines(mail), ""]
    for part in mail.iter_parts():
        lines += [boundary, *_header_lines(part), "", str(part.get_payload())]
    return "\r\n".join([*lines, boundary + "--", ""]).encode("ascii")


def _header_lines(part: MIMEPart) -> list[str]:
    return [f"{name}: {value}" for name, value in part.raw_items()]


def _part(subtype: str, text: str) -> MIMEPart:
    data = text.encode("utf-8", "replace")
    part = MIMEPart(policy=policy.SMTP)
    part.set_raw("Content-Type", f'text/{subtype}; charset="utf-8"')
    # Quoted-printable stays readable in a raw mail; past one byte in six it would be longer than base64.
    foreign = len(data) - len(data.decode("ascii", "ignore"))
    if foreign * 6 > len(data):
        part.set_raw("Content-Transfer-Encoding", "base64")
        coded = binascii.b2a_base64(data, newline=False).decode("ascii")
        part.set_payload("\r\n".join(coded[at : at + _LINE] for at in range(0, len(coded), _LINE)) + "\r\n")
    else:
        part.set_raw("Content-Transfer-Encoding", "quoted-printable")
        coded = binascii.b2a_qp(data, istext=True).decode("ascii")
        part.set_payload(coded.replace("\r\n", "\n").replace("\n", "\r\n"))
    return part


def _checked(value: str, header: str) -> str:
    if _UNSAFE.search(value):
        raise UsageError(f"The {header} header may not hold line breaks, NUL or other control characters; remove them.")
    if len(value) > 998:
        raise UsageError(f"The {header} header has {len(value)} characters; at most 998 are allowed (RFC 5322, 2.1.1).")
    return value


def _words(value: str, header: str) -> str:
    if value.isascii() and "=?" not in value and len(header) + 2 + len(value) <= _LINE:
        return value
    return Header(value, "utf-8", maxlinelen=_LINE, header_name=header).encode(linesep="\r\n")


@lru_cache(maxsize=64)
def _sender(value: str) -> str:
    name, email = parseaddr(_checked(value, "From"))
    return _mailbox(name, email, "From")


def _mailbox(name: str, email: str, header: str) -> str:
    _checked(name, header)
    address = _address(_checked(email, header), header)
    if not name:
        return address
    if _PLAIN_NAME.fullmatch(name) and "=?" not in name and len(name) < 50:
        shown = name
    elif name.isascii() and "=?" not in name and len(name) < 50:
        shown = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    else:
        shown = (
            _words(name, header)
            if not name.isascii()
            else Header(name, "utf-8", maxlinelen=_LINE).encode(linesep="\r\n")
        )
    separator = "\r\n " if len(shown) + len(address) > _LINE - 10 else " "
    return f"{shown}{separator}<{address}>"


@lru_cache(maxsize=1024)
def _address(email: str, header: str) -> str:
    try:
        local, _, domain = email.rpartition("@")
        ascii_domain = domain if domain.isascii() else domain.encode("idna").decode("ascii")
        return (
            Mailbox(addr_spec=f"{local}@{ascii_domain}").addr_spec if local and email.isprintable() else _refuse(header)
        )
    except UsageError:
        raise
    except Exception:  # headerregistry raises several unrelated classes on what is no address.
        return _refuse(header)


def _refuse(header: str) -> str:
    raise UsageError(f"The {header} address is not of the form name@domain; correct it in the settings or on the user.")
