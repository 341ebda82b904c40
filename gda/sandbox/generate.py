"""Made-up mail for measurements: plausible, of the sizes asked for, the same for the same seed."""

import quopri
from base64 import encodebytes
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from gda.errors import UsageError

_TEXT = (
    "the a of and to in for with on by at from this next last new open draft final weekly market release garden river "
    "station team budget invoice meeting review workshop schedule delivery report figures summary update project "
    "train ticket concert library kitchen window morning evening please thank you could we move agree confirm send "
    "answer before after until Monday Tuesday Thursday Friday noon question proposal contract design photo café naïve "
    "Zürich Łódź señor über smørrebrød"
)
_WORDS = _TEXT.split(" ")
_SENDERS = (
    ("Marta Lindqvist", "marta@example.org"),
    ("Tomás Ferreira", "tomas@example.com"),
    ("Nordlicht Newsletter", "news@nordlicht.example"),
    ("Billing", "billing@payments.example"),
    ("Kite Build", "builds@kite.example"),
    ("Priya Raman", "priya@example.net"),
    ("City Library", "loans@library.example"),
    ("Harbour Rail", "tickets@rail.example"),
)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ATTACHED_SHARE = 0.12
_BASE64_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class MailPlan:
    """How much made-up mail: each mailbox gets ``messages`` out of a shared pool of ``pool`` different ones.

    Sizes are in bytes of the whole mail. Everything follows from ``seed`` and the mailbox's address.
    """

    pool: int = 400
    messages: int = 10
    min_bytes: int = 3000
    max_bytes: int = 30000
    seed: int = 1

    def __post_init__(self) -> None:
        values = (self.pool, self.messages, self.min_bytes, self.max_bytes, self.seed)
        if not all(type(value) is int for value in values):
            raise UsageError("generated mail: pool, messages, min_bytes, max_bytes and seed must be whole numbers")
        if not 1 <= self.messages <= self.pool <= 100_000:
            raise UsageError(f"generated mail: messages={self.messages} must be from 1 to pool={self.pool} (<= 100000)")
        if not 1500 <= self.min_bytes <= self.max_bytes <= 10_000_000:
            raise UsageError(
                f"generated mail: min_bytes={self.min_bytes} and max_bytes={self.max_bytes} must be from 1500 to "
                "10000000 and in order"
            )


def pick_mail(plan: MailPlan, email: str) -> list[bytes]:
    """Return the mails of one mailbox, oldest first; the same bytes objects for every mailbox that shares them."""
    pool = _pool(plan.pool, plan.min_bytes, plan.max_bytes, plan.seed)
    chosen = Random(f"{plan.seed}:{email}").sample(range(plan.pool), plan.messages)
    return [pool[index] for index in chosen]


@lru_cache(maxsize=4)
def _pool(count: int, min_bytes: int, max_bytes: int, seed: int) -> tuple[bytes, ...]:
    random = Random(seed)
    return tuple(_mail(random, number, random.randint(min_bytes, max_bytes), seed) for number in range(count))


def _mail(random: Random, number: int, size: int, seed: int) -> bytes:
    name, address = random.choice(_SENDERS)
    boundary = f"=_{seed}_{number}_alt"
    headers = [
        f"From: {_encoded(name)} <{address}>",
        "To: undisclosed-recipients:;",
        f"Subject: {_encoded(_sentence(random, 3, 9).rstrip('.'))}",
        f"Date: {_date(random)}",
        f"Message-ID: <bench-{seed}-{number}@{address.partition('@')[2]}>",
        "MIME-Version: 1.0",
    ]
    if "news" in address or "billing" in address:
        headers += [f"List-Unsubscribe: <https://{address.partition('@')[2]}/u/{number}>", "Precedence: bulk"]
    alternative = f'Content-Type: multipart/alternative; boundary="{boundary}"'
    room = size - len("\r\n".join(headers)) - 500
    if random.random() >= _ATTACHED_SHARE:
        return _crlf([*headers, alternative, "", _alternative(random, boundary, room)])
    outer = f"=_{seed}_{number}_mix"
    return _crlf(
        [
            *headers,
            f'Content-Type: multipart/mixed; boundary="{outer}"',
            "",
            f"--{outer}",
            alternative,
            "",
            _alternative(random, boundary, room // 2),
            f"--{outer}",
            f'Content-Type: application/pdf; name="document-{number}.pdf"',
            f'Content-Disposition: attachment; filename="document-{number}.pdf"',
            "Content-Transfer-Encoding: base64",
            "",
            encodebytes(b"%PDF-1.4\n" + random.randbytes(max(100, room * 3 // 8))).decode(),
            f"--{outer}--",
        ]
    )


def _alternative(random: Random, boundary: str, room: int) -> str:
    in_base64 = random.random() < _BASE64_SHARE
    # Base64 grows text by 35 %, quoted-printable this mostly English text by about 6 %; tags add the rest.
    characters = int(room / (1.47 if in_base64 else 1.14))
    plain = _paragraphs(random, characters * 2 // 5)
    paragraphs = "".join(f'<p style="margin:0 0 1em">{each}</p>\n' for each in plain.split("\n\n"))
    body = paragraphs + "".join(
        f"<p>{each}</p>\n"
        for each in _paragraphs(random, max(0, characters - len(plain) - len(paragraphs))).split("\n\n")
    )
    page = f'<!doctype html><html><body style="font-family:sans-serif">\n{body}</body></html>'
    parts = (("text/plain", plain), ("text/html", page))
    written = "".join(f"--{boundary}\n{_text_part(kind, text, in_base64)}\n" for kind, text in parts)
    return f"{written}--{boundary}--\n"


def _text_part(mime_type: str, text: str, in_base64: bool) -> str:
    encoding = "base64" if in_base64 else "quoted-printable"
    data = encodebytes(text.encode()) if in_base64 else quopri.encodestring(text.encode())
    head = f"Content-Type: {mime_type}; charset=utf-8\nContent-Transfer-Encoding: {encoding}\n\n"
    return head + data.decode()


def _paragraphs(random: Random, characters: int) -> str:
    paragraphs: list[str] = []
    length = 0
    while length < characters:
        sentences = " ".join(_sentence(random, 6, 16) for _ in range(min(5, 1 + (characters - length) // 120)))
        paragraphs.append(sentences)
        length += len(sentences) + 2
    return "\n\n".join(paragraphs)


def _sentence(random: Random, least: int, most: int) -> str:
    text = " ".join(random.choices(_WORDS, k=random.randint(least, most)))
    return text[0].upper() + text[1:] + "."


def _encoded(text: str) -> str:
    if text.isascii():
        return text
    words = quopri.encodestring(text.encode(), header=True).decode().replace("=\n", "").replace("?", "=3F")
    return f"=?utf-8?q?{words}?="


def _date(random: Random) -> str:
    day = random.randint(2, 29)
    weekday = _DAYS[(day - 2) % 7]
    return f"{weekday}, {day:02} Mar 2026 {random.randint(6, 21):02}:{random.randint(0, 59):02}:00 +0000"


def _crlf(lines: list[str]) -> bytes:
    return "\n".join(lines).replace("\n", "\r\n").encode()
