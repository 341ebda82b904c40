"""A user with calendars in the sandbox and a daily report of what is new in them; all clocks are the test's one."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from gda.binding import bind
from gda.delivery.smtp import SmtpPool
from gda.google.http import open_http
from gda.jobs.mailing import mail_tools
from gda.jobs.novel_events import novel_events
from gda.runner import Desk, WakeUp, settle_alone, wake
from gda.sandbox import Sandbox
from gda.sandbox.content import Content
from gda.sandbox.faults import Fault
from gda.store import ByHand, Credential, Scope, Store, Waker, Wish, Worker
from gda.vault import Vault
from tests.builders import VirtualClock, a_store
from tests.support.calendars import calendar_folder, ics
from tests.support.household import sandbox_settings
from tests.support.sandbox import RunningSandbox, running_sandbox

KIND = "novel-events"
ADDRESS = "ada@example.org"
MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass(slots=True)
class Diary:
    """Ada's calendars; ``told`` is what each mail that reached her said."""

    desk: Desk
    store: Store
    google: RunningSandbox
    clock: VirtualClock
    runs: int = field(default=0)

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox's live state."""
        return self.google.sandbox

    def change(self, **values: Any) -> list[str]:
        """Do something to a calendar; see ``SandboxCalendar.change``."""
        account = self.sandbox.accounts.by_email(ADDRESS)
        assert account is not None
        return self.sandbox.change_calendar(account, values)

    def add(self, *events: str, **values: Any) -> str:
        """Add one event or series; returns its id."""
        [key] = self.change(do="add", ics=ics(*events), **values)
        return key

    def fault(self, kind: Any, **details: Any) -> None:
        """Switch a fault of the sandbox on."""
        self.sandbox.faults.switch_on(Fault(kind, **details))

    async def next_day(self, days: int = 1) -> str:
        """Let days pass, then ask for the latest slot."""
        self.clock.advance(days=days)
        return await self.asked()

    async def asked(self, *, extra: str | None = None) -> str:
        """Ask for the latest slot, or an extra report, in a run of its own; slots refused as too old are not told."""
        self.runs += 1
        run = Worker(f"run {self.runs}")
        hand = WakeUp(Scope(KIND, user_id="ada"), run, Waker("hand"), ByHand(extra=extra))
        return str(await wake(self.desk, hand, lambda claims: settle_alone(self.desk, claims))).partition(";")[0]

    async def drained(self) -> str:
        """Perform what waits, as a drain does."""
        self.runs += 1
        call = WakeUp(Scope(KIND), Worker(f"run {self.runs}"), Waker("drain"))
        return str(await wake(self.desk, call, lambda claims: settle_alone(self.desk, claims)))

    def mails(self) -> list[Content]:
        """The mails that the sandbox's mail server took."""
        return [accepted.content for accepted in self.sandbox.accepted.find(user=ADDRESS)]

    def told(self) -> list[list[str]]:
        """For each mail, its rows as ``heading: title | when | …``."""
        return [rows(mail) for mail in self.mails()]


def part(mail: Content, mime_type: str) -> str:
    """One part of a mail."""
    return next(each.data.decode() for each in mail.tree.walk() if each.mime_type == mime_type)


def rows(mail: Content) -> list[str]:
    """What the HTML says, a line for each change."""
    page = LexborHTMLParser(part(mail, "text/html"))
    found = []
    for card in page.css("td.card"):
        [heading] = [each.text(strip=True) for each in card.css("h2")]
        for row in card.css("tr[data-gda-event]"):
            texts = [" ".join(each.text().split()) for each in row.css("p")]
            when, title, *more = texts
            found.append(" | ".join([f"{heading}: {title}", when, *more]))
    return found


@asynccontextmanager
async def a_diary(
    tmp_path: Path,
    database_url: str,
    *events: str,
    timezone: str = "Europe/London",
    clock: VirtualClock | None = None,
    calendars: dict[str, str] | None = None,
    **settings: Any,
) -> AsyncIterator[Diary]:
    """Open Ada's diary with some events, all older than a day, and a report each day at half past eight."""
    clock = clock or VirtualClock(MONDAY)
    folder = calendar_folder(tmp_path / "ada", calendar=ics(*events), **(calendars or {}))
    async with AsyncExitStack() as stack:
        sandbox = Sandbox(clock=lambda: clock.instant.timestamp())
        google = await stack.enter_async_context(running_sandbox(sandbox=sandbox))
        configured = sandbox_settings(google, database_url, **settings)
        store = await stack.enter_async_context(a_store(database_url, clock=clock))
        clock.advance(days=-2)
        account = sandbox.open_account(ADDRESS, mail=str(folder))
        await store.users.add(ADDRESS, timezone=timezone, user_id="ada")
        sealed = Vault.from_settings(configured).seal("ada", account.refresh_token)
        await store.credentials.put([Credential("ada", "google", sealed, None, None, "active")])
        await store.schedules.set(Wish("ada", KIND, "daily 08:30"))
        clock.advance(days=2)
        http = await stack.enter_async_context(open_http(configured))
        smtp = await stack.enter_async_context(SmtpPool(configured))
        tools = mail_tools(configured, store, Vault.from_settings(configured), http, smtp)
        yield Diary(Desk(store, bind(novel_events, configured, tools), configured), store, google, clock)
