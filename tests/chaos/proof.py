"""What must hold after the worst: each occurrence settled once, one accepted mail for it, each message listed once."""

from collections import Counter
from collections.abc import Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

from gda.lifecycle import Occurrence, Status
from tests.chaos.crew import Crew


def delivered_once(crew: Crew, rows: Sequence[Occurrence]) -> None:
    """Each occurrence is done, with exactly one accepted mail, or skipped, with none; nothing was burnt."""
    wanted = {row.id: int(row.status is Status.DONE) for row in rows}
    mails = {row.id: len(crew.google.sandbox.accepted.find(occurrence=row.id)) for row in rows}
    assert {row.status for row in rows} <= {Status.DONE, Status.SKIPPED}, Counter(row.status for row in rows)
    assert mails == wanted, {row.id: (row.status, mails[row.id]) for row in rows if mails[row.id] != wanted[row.id]}
    assert len(crew.google.sandbox.accepted) == sum(wanted.values())


def each_message_once(crew: Crew, users: Sequence[str], subjects: Sequence[str]) -> int:
    """Each message of each user stands in exactly one delivered digest; returns how many messages there were."""
    wrong = {}
    for user in users:
        digests = [text_of(mail.content.raw) for mail in crew.google.sandbox.accepted.find(user=f"{user}@example.org")]
        counts = {subject: sum(subject in text for text in digests) for subject in subjects}
        if set(counts.values()) != {1}:
            wrong[user] = counts
    assert not wrong, wrong
    return len(users) * len(subjects)


def text_of(raw: bytes) -> str:
    """The plain text of a mail."""
    mail = cast(EmailMessage, message_from_bytes(raw, policy=policy.default))
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())
