"""The same digest on plain Prefect, as its documentation would have it: one run per user, tasks with retries.

No ledger, no journal, no cursor: it reads the last 24 hours and sends. It shares GDA's Gmail client, parser, renderer
and mail connection, so that the difference measured is the way of running it.
"""

from datetime import UTC, datetime, timedelta

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from pydantic import SecretStr

from gda.delivery.smtp import SmtpPool
from gda.digest import Recipient, Window, as_bytes, build_email, compose, message_id_for, render
from gda.google.gmail import Gmail
from gda.google.http import open_http
from gda.jobs.window import read_messages
from gda.mail import Message
from gda.settings import load_settings

RETRIES = {"retries": 2, "retry_delay_seconds": [2, 10], "persist_result": False, "cache_policy": NO_CACHE}


@task(name="read-mail", **RETRIES)  # type: ignore[call-overload, untyped-decorator, unused-ignore]
async def read_mail(access_token: str, since: datetime) -> list[Message]:
    """List and read one user's new mail."""
    settings = load_settings()
    async with open_http(settings) as http:
        gmail = Gmail(http, settings, SecretStr(access_token))
        listed = await gmail.list_ids(f"in:inbox after:{int(since.timestamp())}")
        return await read_messages(gmail, [ref.id for ref in listed])


@task(name="send-digest", **RETRIES)  # type: ignore[call-overload, untyped-decorator, unused-ignore]
async def send_digest(email: str, run: str, messages: list[Message], window: Window) -> None:
    """Render the digest and send it."""
    settings = load_settings()
    recipient = Recipient(email, "", "UTC")
    digest = compose(messages, recipient=recipient, window=window, label="", max_messages=100)
    mail = build_email(
        render(digest),
        sender=settings.mail_from,
        recipient=recipient,
        message_id=message_id_for(run, "plain.example"),
        occurrence_id=run,
        date=window.until,
    )
    async with SmtpPool(settings) as smtp:
        await smtp.send(as_bytes(mail), sender=settings.mail_from, recipient=email)


@flow(name="plain-digest", version="1", persist_result=False)
async def deliver_plain(email: str, access_token: str, run: str) -> None:
    """One user's digest, one flow run."""
    now = datetime.now(UTC)
    since = now - timedelta(hours=24)
    messages = await read_mail(access_token, since)
    await send_digest(email, run, messages, Window(since, now, tuple(message.id for message in messages)))
