"""Notices through every channel: each once, each failing alone, and none but the inbox while the user wants quiet."""

import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from gda.declare import job_type
from gda.job import Job
from gda.jobs.notices import notice
from gda.notify import Channels, Notice, notify, open_channels
from gda.notify.quiet import quiet_until, read_quiet
from gda.notify.webpush import new_push_key
from gda.outcome import Done, Outcome
from gda.sandbox.faults import Fault
from gda.settings import Settings
from gda.store import (
    Effects,
    GroupCommit,
    Preference,
    PushSubscription,
    Receipt,
    ReleaseRules,
    Store,
    Waker,
    Which,
    subscription_id,
)
from gda.store.promises import Defaults
from gda.sweep import sweep
from gda.testing import LedgerUnderTest
from gda.vault import Vault, new_key
from tests.builders import MORNING, VirtualClock, a_store
from tests.support.browser import ABrowser
from tests.support.leaks import files_in, leaks
from tests.support.sandbox import RunningSandbox, running_sandbox

ALL = ("inbox", "mail", "push", "chat")
SWEEP = Waker("sweep")
RULES = ReleaseRules("notice", "default", Defaults())
NIGHT = "05:00-08:00"
"""In Berlin; MORNING is 07:00 there."""


class Telling(BaseModel):
    """What the kind of these tests carries."""

    cause: str
    urgent: bool = False


async def tell(channels: Channels, job: Job) -> Outcome:
    """Tell the user of something."""
    wanted = Notice("ada", job.payload.cause, f"About {job.payload.cause}", "It is so.", urgent=job.payload.urgent)
    return Done(",".join(await notify(channels, job, wanted)))


telling = job_type(kind="telling", payload=Telling, tools=open_channels)(tell)


@dataclass
class Scene:
    """Ada, her channels, and what came through them."""

    ledger: LedgerUnderTest
    google: RunningSandbox
    browser: ABrowser
    clock: VirtualClock

    async def prefers(self, *channels: str, quiet: str = "") -> None:
        """Let Ada choose; her chat's address is known already."""
        until = quiet_until(self.clock.instant, read_quiet(quiet) if quiet else None, "Europe/Berlin")
        await self.ledger.store.notify_preferences.put(Preference("ada", channels, quiet), quiet_until=until)

    async def told(self, cause: str, **payload: Any) -> str:
        """Ask for a notice, perform it, and say what became of it."""
        asked = await self.ledger.enqueue(telling, {"cause": cause, **payload}, user="ada")
        await self.ledger.drain(telling)
        done = await self.ledger.store.ledger.get(asked.id)
        return f"{done.status}: {done.reason}"

    async def again(self) -> str:
        """An hour later, perform what waits."""
        self.clock.advance(hours=1)
        return str(await self.ledger.drain(telling))

    async def released(self) -> list[str]:
        """What a sweep and its drain do about held notices."""
        ids = await self.ledger.store.held_notices.release(RULES, SWEEP)
        await self.ledger.drain(notice)
        found = [await self.ledger.store.ledger.get(one) for one in ids]
        return [f"{one.status}: {one.reason}" for one in found]

    def fault(self, kind: Any, **details: Any) -> None:
        """Switch a fault of the sandbox on."""
        self.google.sandbox.faults.switch_on(Fault(kind, **details))

    def heard(self) -> dict[str, list[str]]:
        """The titles that came through each loud channel."""
        sinks = self.google.sandbox.notices
        mails = [one.subject for one in self.google.sandbox.accepted.find(user="ada@example.org")]
        pushed = [json.loads(self.browser.read(one.body))["title"] for one in sinks.push]
        return {"mail": mails, "push": pushed, "chat": [one.title for one in sinks.chat]}

    async def dead(self) -> Sequence[Any]:
        """What gave up."""
        return await self.ledger.store.dead_letters.find(Which())


@asynccontextmanager
async def a_scene(url: str, *channels: str, quiet: str = "", **settings: Any) -> AsyncIterator[Scene]:
    clock = VirtualClock(MORNING)
    async with running_sandbox() as google:
        values: dict[str, Any] = {
            "database_url": url,
            "keys": SecretStr(new_key()),
            "push_key": SecretStr(new_push_key()),
            "smtp_host": "127.0.0.1",
            "smtp_port": google.smtp_port,
            "smtp_security": "none",
            "notify_timeout_seconds": 5,
            "early_seconds": 0,
        }
        chosen = Settings(**values | settings)
        async with a_store(url, clock=clock) as store:
            await store.users.add("ada@example.org", timezone="Europe/Berlin", user_id="ada")
            vault = Vault.from_settings(chosen)
            chat = vault.seal("ada", google.http.replace("http://", "json://") + "/chat/ada-room")
            await store.notify_preferences.put(Preference("ada", channels or ALL, chat_address=chat))
            browser = ABrowser(f"{google.http}/push/phone")
            await subscribe(store.notify_preferences, vault, browser)
            scene = Scene(LedgerUnderTest(store, chosen, clock), google, browser, clock)  # type: ignore[arg-type]
            if quiet:
                await scene.prefers(*(channels or ALL), quiet=quiet)
            yield scene


async def subscribe(preferences: Any, vault: Vault, browser: ABrowser) -> None:
    identity = subscription_id("ada", browser.subscription.endpoint)
    sealed = vault.seal("ada", browser.subscription.as_text())
    await preferences.subscribe(PushSubscription(identity, "ada", sealed))


def each(title: str) -> dict[str, list[str]]:
    return {"mail": [title], "push": [title], "chat": [title]}


async def test_a_notice_reaches_every_channel_that_the_user_prefers_once(database_url):
    async with a_scene(database_url) as scene:
        assert await scene.told("rain") == "done: inbox,mail,push,chat"
        assert scene.heard() == each("About rain")
        [row] = await scene.ledger.store.notifications.list("ada")
        assert (row.cause, row.title, row.body) == ("rain", "About rain", "It is so.")
        await scene.prefers("chat")
        assert await scene.told("snow") == "done: chat"
        assert scene.heard() == {**each("About rain"), "chat": ["About rain", "About snow"]}
        await scene.prefers()
        assert await scene.told("fog") == "done: "
        assert len(await scene.ledger.store.notifications.list("ada")) == 1


@pytest.mark.parametrize(
    ("fault", "endpoint", "others"),
    [
        ("rate_limit", "chat", ("mail", "push")),
        ("rate_limit", "push", ("mail", "chat")),
        ("smtp_reject", "smtp", ("push", "chat")),
    ],
)
async def test_one_channels_failure_is_tried_again_alone(database_url, fault, endpoint, others):
    async with a_scene(database_url) as scene:
        scene.fault(fault, endpoint=endpoint, times=1)
        assert (await scene.told("rain")).startswith("retrying: ")
        heard = scene.heard()
        assert [name for name in heard if heard[name]] == list(others)
        assert await scene.again() == "1 done"
        assert scene.heard() == each("About rain")


@pytest.mark.parametrize("channel", ["chat", "push"])
async def test_what_a_chat_or_a_browser_may_have_is_not_sent_there_again_until_a_person_says_so(database_url, channel):
    async with a_scene(database_url) as scene:
        scene.fault("server_error", endpoint=channel, times=1, status=502, after=True)
        assert "HTTP 502; the user may have been told" in await scene.told("rain")
        [letter] = await scene.dead()
        assert letter.reason == "in-doubt"
        assert scene.heard() == each("About rain")
        scene.clock.advance(minutes=5)
        await scene.ledger.store.dead_letters.replay(Which(ids=(letter.occurrence_id,)), by="ops")
        await scene.ledger.drain(telling)
        assert scene.heard() == {**each("About rain"), channel: ["About rain"] * 2}
        await scene.ledger.assert_settled(telling, count=1)


async def test_no_answer_in_time_is_doubt_and_waits_for_nobody_elses_retries(database_url):
    async with a_scene(database_url, notify_timeout_seconds=0.4) as scene:
        scene.fault("slow", endpoint="chat", times=1, seconds=2)
        scene.fault("smtp_reject", endpoint="smtp", times=1)
        assert (await scene.told("rain")).startswith("retrying: smtp")
        assert await scene.again() == "1 dead"
        [letter] = await scene.dead()
        assert letter.reason == "in-doubt"
        assert scene.heard() == each("About rain")


class DiesBeforeTheOutcome(Effects):
    """A journal whose worker is gone when the outcome is to be written."""

    async def confirm(self, receipt: Receipt) -> None:
        """Write nothing."""
        raise OSError


async def test_a_worker_that_dies_before_the_outcome_leaves_a_chat_in_doubt(database_url):
    async with a_scene(database_url, "chat") as scene:
        alive, store = scene.ledger, scene.ledger.store
        dying = DiesBeforeTheOutcome(writes=GroupCommit(store.database.write, store.database.clock))
        scene.ledger = replace(alive, store=replace(store, effects=dying))
        assert (await scene.told("rain")).startswith("retrying: ")
        scene.ledger = alive
        assert await scene.again() == "1 dead"
        assert [letter.reason for letter in await scene.dead()] == ["in-doubt"]
        assert scene.heard()["chat"] == ["About rain"]


async def test_a_browser_that_is_gone_is_forgotten_and_no_failure(database_url):
    async with a_scene(database_url) as scene:
        tablet = ABrowser(f"{scene.google.http}/push/tablet")
        store = scene.ledger.store
        await subscribe(store.notify_preferences, Vault.from_settings(scene.ledger.settings), tablet)
        scene.google.sandbox.notices.gone.add("phone")
        assert await scene.told("rain") == "done: inbox,mail,push,chat"
        assert [one.browser for one in scene.google.sandbox.notices.push] == ["tablet"]
        [left] = await store.notify_preferences.subscriptions("ada")
        assert left.id == subscription_id("ada", tablet.subscription.endpoint)
        scene.google.sandbox.notices.gone.add("tablet")
        assert await scene.told("snow") == "done: inbox,mail,chat"
        assert await store.notify_preferences.subscriptions("ada") == []


async def test_while_the_user_wants_quiet_all_is_held_and_told_as_one_afterwards(database_url):
    async with a_scene(database_url, quiet=NIGHT) as scene:
        assert await scene.told("rain") == "done: inbox,held"
        assert await scene.told("rain") == "done: inbox,held"
        assert await scene.told("snow") == "done: inbox,held"
        assert scene.heard() == {"mail": [], "push": [], "chat": []}
        assert len(await scene.ledger.store.notifications.list("ada")) == 2
        scene.clock.advance(minutes=59)
        assert await scene.released() == []
        scene.clock.advance(minutes=1)
        assert await scene.released() == ["done: 2 held, told through mail, push, chat"]
        assert scene.heard() == each("2 notices from your quiet hours")
        said = "About rain: It is so.\nAbout snow: It is so."
        assert [one.message for one in scene.google.sandbox.notices.chat] == [said]
        assert await scene.released() == []
        assert await scene.told("rain") == "done: inbox,held"
        assert scene.heard() == each("2 notices from your quiet hours")


async def test_the_sweep_finds_whose_quiet_hours_are_over_and_asks_for_a_drain(database_url):
    asked: list[tuple[str, str]] = []

    async def ensure_drain(kind: str, queue: str) -> bool:
        asked.append((kind, queue))
        return True

    async def close_runs(_: Store) -> int:
        return 0

    async with a_scene(database_url, quiet=NIGHT) as scene:
        await scene.told("rain")
        for _ in range(2):
            swept = await sweep(
                scene.ledger.store, scene.ledger.settings, SWEEP, ensure_drain=ensure_drain, close_runs=close_runs
            )
            assert swept.failures == []
            scene.clock.advance(hours=1)
        assert asked == [("notice", "default")]
        await scene.ledger.drain(notice)
        assert scene.heard() == each("About rain")


async def test_an_urgent_notice_breaks_the_quiet(database_url):
    async with a_scene(database_url, quiet=NIGHT) as scene:
        assert await scene.told("fire", urgent=True) == "done: inbox,mail,push,chat"
        assert scene.heard() == each("About fire")


async def test_what_one_channel_has_before_the_quiet_begins_is_finished_not_held(database_url):
    async with a_scene(database_url, quiet="07:30-09:00") as scene:
        scene.fault("rate_limit", endpoint="chat", times=1)
        assert (await scene.told("rain")).startswith("retrying: ")
        assert await scene.again() == "1 done"
        assert scene.heard() == each("About rain")
        assert await scene.ledger.store.held_notices.waiting("ada") == []


async def test_the_held_digest_fails_by_channel_too(database_url):
    async with a_scene(database_url, quiet=NIGHT) as scene:
        await scene.told("rain")
        scene.clock.advance(hours=1)
        scene.fault("rate_limit", endpoint="push", times=1)
        assert [found.partition(":")[0] for found in await scene.released()] == ["retrying"]
        assert scene.heard() == {"mail": ["About rain"], "push": [], "chat": ["About rain"]}
        scene.clock.advance(hours=1)
        await scene.ledger.drain(notice)
        assert scene.heard() == each("About rain")
        assert await scene.ledger.store.held_notices.waiting("ada") == []


async def test_quiet_hours_that_change_move_what_is_held(database_url):
    async with a_scene(database_url, quiet=NIGHT) as scene:
        await scene.told("rain")
        await scene.prefers(*ALL, quiet="05:00-10:00")
        scene.clock.advance(hours=1)
        assert await scene.released() == []
        await scene.prefers(*ALL)
        assert await scene.released() == ["done: 1 held, told through mail, push, chat"]


async def test_a_user_who_moved_into_another_night_is_left_in_peace(database_url):
    async with a_scene(database_url, quiet=NIGHT) as scene:
        await scene.told("rain")
        # 08:00 in Berlin is 07:00 in London.
        await scene.ledger.store.schedules.move_user("ada", "Europe/London")
        scene.clock.advance(hours=1)
        assert await scene.released() == ["retrying: the user wants quiet again"]
        scene.clock.advance(hours=1)
        await scene.ledger.drain(notice)
        assert scene.heard() == each("About rain")


async def test_a_paused_user_hears_of_what_was_held_when_resumed(database_url):
    async with a_scene(database_url, quiet=NIGHT) as scene:
        await scene.told("rain")
        await scene.ledger.store.users.set_status("ada", "paused")
        scene.clock.advance(hours=2)
        assert await scene.released() == []
        await scene.ledger.store.users.set_status("ada", "active")
        assert await scene.released() == ["done: 1 held, told through mail, push, chat"]


async def test_what_was_told_a_week_ago_is_forgotten(tmp_path):
    async with a_scene(f"sqlite+aiosqlite:///{tmp_path}/gda.db", quiet=NIGHT) as scene:
        for _ in range(2):
            await scene.told(f"rain {scene.clock.instant:%d}")
            scene.clock.advance(hours=1)
            await scene.released()
            scene.clock.advance(hours=24 * 8 - 1)
        async with scene.ledger.store.database.read() as connection:
            rows = await connection.exec_driver_sql("SELECT cause FROM gda_held_notices")
            assert [row.cause for row in rows] == ["rain 18"]


async def test_channels_addresses_are_found_nowhere_in_clear(tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    url = f"sqlite+aiosqlite:///{tmp_path}/gda.db"
    async with a_scene(url, push_contact="mailto:ops@example.org") as scene:
        secrets = {
            "chat": "/chat/ada-room",
            "endpoint": "/push/phone",
            "push key": scene.ledger.settings.push_key.get_secret_value(),
        }
        await scene.told("rain")
        for kind in ("chat", "push"):
            for fault in ({"kind": "rate_limit"}, {"kind": "server_error", "status": 500}):
                scene.fault(**fault, endpoint=kind, times=1)
                await scene.told(f"{kind} {fault}")
        rows = await scene.ledger.store.history.list(limit=100)
        shown = repr([await scene.ledger.store.history.story(row.id) for row in rows]).encode()
        places = files_in(tmp_path) | {"history": shown}
    out, err = capfd.readouterr()
    own = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("gda"))
    places |= {"log": own.encode(), "output": out.encode(), "errors": err.encode()}
    assert leaks(secrets, places) == []
    assert leaks({"user": "ada@example.org"}, places) != []


async def test_reminders_of_users_who_chose_nothing_go_to_inbox_and_mail(tmp_path):
    async with a_scene(f"sqlite+aiosqlite:///{tmp_path}/gda.db") as scene:
        store = scene.ledger.store
        async with store.database.write() as connection:
            await connection.exec_driver_sql("DELETE FROM gda_notify_preferences")
        assert await scene.told("rain") == "done: inbox,mail"
        assert await store.notify_preferences.get("ada") is None
