"""``gda notifications``: what people were told, and how they want to be told."""

import os
import sys
from typing import TYPE_CHECKING

from cyclopts import App

from gda.cli.output import Count, Flag, Json, Row, show_fields, show_json, show_rows
from gda.cli.run import say, settings, store
from gda.cli.todo import MOST_SHOWN, short_id
from gda.errors import UsageError

if TYPE_CHECKING:
    from gda.lifecycle import Occurrence
    from gda.settings import Settings
    from gda.store import Notification, Preference, Store

app = App(name="notifications")

CHAT_URL = "GDA_CHAT_URL"


@app.command(name="list")
async def list_(user: str, /, *, unread: Flag = False, n: Count = 20, json: Json = False) -> None:
    """List a person's in-app inbox, the newest first.

    Args:
        user: Id or address.
        unread: Only what was not read.
        n: How many.
        json: Print JSON.
    """
    if not 1 <= n <= MOST_SHOWN:
        raise UsageError(f"-n {n}: show from 1 to {MOST_SHOWN}")
    async with store() as opened:
        found = await opened.notifications.list((await opened.users.get(user)).id, unread=unread, limit=n)
    if json:
        show_json(found)
    else:
        show_rows([_row(each) for each in found], empty="nothing to read")


@app.command
async def read(user: str, /, *ids: str, json: Json = False) -> None:
    """Mark what a person has read.

    Args:
        user: Id or address.
        ids: As `gda notifications list` shows them; none: all of them.
        json: Print JSON.
    """
    async with store() as opened:
        owner = (await opened.users.get(user)).id
        there = await opened.notifications.list(owner, limit=MOST_SHOWN)
        chosen = [_chosen(each, there) for each in ids] if ids else [each.id for each in there]
        count = await opened.notifications.read(owner, chosen)
    if json:
        show_json({"read": count})
    else:
        print(f"{count} marked as read")


@app.command
async def prefer(user: str, /, *, channels: str | None = None, quiet: str | None = None, json: Json = False) -> None:
    """Say through what a person wants to be told, and when not; without options, show it.

    While it is quiet nothing but the inbox is written; when the quiet hours end, all that was held goes out as one.

    Args:
        user: Id or address.
        channels: Comma-separated of inbox, mail, push, chat; none: nothing.
        quiet: Local hours such as 22:00-07:00; off: never.
        json: Print JSON.
    """
    from dataclasses import replace

    from gda.notify.quiet import quiet_until, read_quiet

    async with store() as opened:
        person = await opened.users.get(user)
        chosen = await _preference(opened, person.id)
        if channels is not None:
            chosen = replace(chosen, channels=_channels(channels))
        if quiet is not None:
            chosen = replace(chosen, quiet="" if quiet == "off" else str(read_quiet(quiet)))
        if channels is not None or quiet is not None:
            hours = read_quiet(chosen.quiet) if chosen.quiet else None
            until = quiet_until(await opened.ledger.now(), hours, person.timezone)
            await opened.notify_preferences.put(replace(chosen, chat_address=None), quiet_until=until)
        await _show(opened, chosen, as_json=json)


@app.command
async def chat(user: str, /, *, remove: Flag = False) -> None:
    """Keep the address of a person's chat, and use it; it is never shown again.

    It is read from standard input, or from GDA_CHAT_URL, and written as Apprise does, such as tgram://TOKEN/CHAT.

    Args:
        user: Id or address.
        remove: Forget the address.
    """
    from dataclasses import replace

    from gda.notify.channels import CHAT
    from gda.notify.chat import require_address
    from gda.vault import Vault

    async with store() as opened:
        person = await opened.users.get(user)
        chosen = await _preference(opened, person.id)
        others = tuple(name for name in chosen.channels if name != CHAT)
        if remove:
            await opened.notify_preferences.put(replace(chosen, channels=others, chat_address=None))
            await opened.notify_preferences.forget_chat(person.id)
            print(f"{person.id} is told nothing by chat any more")
            return
        address = os.environ.get(CHAT_URL) or _read_address()
        require_address(address)
        sealed = Vault.from_settings(settings()).seal(person.id, address)
        await opened.notify_preferences.put(replace(chosen, channels=(*others, CHAT), chat_address=sealed))
    print(f"{person.id} is told by chat too")
    say(f"next: gda notifications test {person.id}")


@app.command(name="test")
async def trial(user: str, /, *, json: Json = False) -> None:
    """Send a trial through a person's channels, quiet hours or not.

    Args:
        user: Id or address.
        json: Print JSON.
    """
    given = settings()
    async with store(given) as opened:
        done = await _try(opened, given, (await opened.users.get(user)).id)
    if json:
        show_json({"status": done.status, "reason": done.reason, "occurrence": done.id})
    else:
        print(f"{done.status}: {done.reason}")


@app.command(name="push-key")
def push_key() -> None:
    """Show the public key that browsers subscribe with; where none is set, make a private one for GDA_PUSH_KEY."""
    from gda.notify.webpush import new_push_key, read_push_key

    if private := settings().push_key.get_secret_value():
        print(read_push_key(private).public)
        return
    print(new_push_key())
    say("this is a new private key: keep it as GDA_PUSH_KEY, then run this again for the public one")


def _read_address() -> str:
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass("Address of the chat: ").strip()
    return sys.stdin.readline().strip()


def _channels(text: str) -> tuple[str, ...]:
    from gda.notify import CHANNELS

    wanted = [name.strip() for name in text.split(",") if name.strip()]
    if wanted == ["none"]:
        return ()
    unknown = next((name for name in wanted if name not in CHANNELS), None)
    if unknown is not None or not wanted:
        raise UsageError(f"--channels {text!r}: choose of {', '.join(CHANNELS)}, or none")
    return tuple(name for name in CHANNELS if name in wanted)


def _chosen(text: str, there: "list[Notification]") -> str:
    found = [each.id for each in there if each.id.startswith(text)]
    if len(found) != 1:
        how = "is not in the inbox" if not found else f"fits {len(found)}"
        raise UsageError(f"notification {text!r} {how}: `gda notifications list` shows their ids")
    return found[0]


async def _preference(opened: "Store", user_id: str) -> "Preference":
    from gda.notify.notice import UNCHOSEN
    from gda.store import Preference

    return await opened.notify_preferences.get(user_id) or Preference(user_id, UNCHOSEN)


async def _show(opened: "Store", chosen: "Preference", *, as_json: bool) -> None:
    browsers = await opened.notify_preferences.subscriptions(chosen.user_id)
    held = await opened.held_notices.waiting(chosen.user_id)
    shown = {
        "user": chosen.user_id,
        "channels": list(chosen.channels),
        "quiet": chosen.quiet or None,
        "chat": chosen.chat_address is not None,
        "browsers": len(browsers),
        "held": len(held),
    }
    if as_json:
        show_json(shown)
    else:
        channels = ",".join(chosen.channels) or "none"
        show_fields(shown | {"channels": channels, "quiet": chosen.quiet or "off"})


async def _try(opened: "Store", given: "Settings", user_id: str) -> "Occurrence":
    from uuid import uuid4

    from gda.binding import opened as ready
    from gda.enqueue import NewJob, enqueue
    from gda.jobs.notices import notice
    from gda.registry import load_registry
    from gda.runner import Desk, WakeUp, settle_alone, wake
    from gda.store import Scope, Waker, Worker

    wanted = NewJob(notice.kind, {"what": "trial"}, user_id=user_id)
    made = await enqueue(opened.queue, load_registry(), given, wanted)
    async with ready(notice, given, opened) as job:
        desk, hand = Desk(opened, job, given), Worker(f"hand:{uuid4()}")
        call = WakeUp(Scope(notice.kind, occurrence_ids=(made.occurrence_id,)), hand, Waker("hand"))
        await wake(desk, call, lambda claims: settle_alone(desk, claims))
    return await opened.ledger.get(made.occurrence_id)


def _row(one: "Notification") -> Row:
    return {
        "id": short_id(one.id),
        "at": one.created_at,
        "read": one.read_at is not None,
        "title": one.title,
        "body": one.body,
    }
