"""What the demo delivered, counted from the ledger and from the delivered mails themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gda.jobs import DIGEST
from gda.lifecycle import Status

if TYPE_CHECKING:
    import httpx

    from gda.store import Store, Story


@dataclass(frozen=True, slots=True)
class Results:
    """One demo run.

    ``messages_in`` counts mail in the digests' windows by the ledger; ``messages_listed`` and ``placeholders`` count
    rows of the delivered mails, and ``duplicates`` mails beyond the first per occurrence, as the mail sink has them.
    """

    users: int
    deployments: int
    delivered: int
    duplicates: int
    skipped: int
    dead: int
    messages_in: int
    messages_listed: int
    placeholders: int
    seconds: float
    server: str
    inbox: str

    @property
    def is_success(self) -> bool:
        """Whether everybody has exactly one digest."""
        return self.delivered + self.skipped == self.users and not self.duplicates and not self.dead


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the demo's servers are: Prefect's UI, and the sandbox."""

    ui: str
    sandbox: str

    @property
    def inbox(self) -> str:
        """The page of delivered mail."""
        return f"{self.sandbox}/inbox"


async def extras(store: "Store", crowd: Sequence[str]) -> dict[str, "Story"]:
    """The stories of the digests asked for by hand, by user id."""
    found = await store.history.list(kind=DIGEST, limit=10 * len(crowd) + 100)
    mine = [each for each in found if each.extra and each.user_id in crowd]
    return {str(each.user_id): await store.history.story(each.id) for each in mine}


async def count(
    stories: Mapping[str, "Story"], addresses: Addresses, *, users: int, deployments: int, seconds: float
) -> Results:
    """Count what was delivered; ``seconds`` is how long it took."""
    import httpx

    statuses = [story.occurrence.status for story in stories.values()]
    done = [story for story in stories.values() if story.occurrence.status is Status.DONE]
    listed = placeholders = 0
    async with httpx.AsyncClient(base_url=addresses.sandbox, timeout=60, trust_env=False) as http:
        for story in done:
            rows = await _rows(http, story.occurrence.id)
            listed += len(rows)
            placeholders += sum(rows.values())
        stats = (await http.get("/_sandbox/stats")).json()
    return Results(
        users=users,
        deployments=deployments,
        delivered=len(done),
        duplicates=sum(number - 1 for number in stats["duplicates"].values()),
        skipped=statuses.count(Status.SKIPPED),
        dead=statuses.count(Status.DEAD),
        messages_in=sum(_messages_in(story) for story in done),
        messages_listed=listed,
        placeholders=placeholders,
        seconds=round(seconds, 1),
        server=addresses.ui,
        inbox=addresses.inbox,
    )


def _messages_in(story: "Story") -> int:
    return sum(len(effect.content["message_ids"]) + effect.content["hidden"] for effect in story.effects)


async def _rows(http: "httpx.AsyncClient", occurrence: str) -> dict[str, bool]:
    """The messages that the delivered mail of an occurrence lists, and whether each has a placeholder."""
    from selectolax.lexbor import LexborHTMLParser

    from gda.mail.message import NO_SENDER, NO_SUBJECT

    listing = (await http.get("/inbox.json", params={"occurrence": occurrence})).json()
    if not listing["messages"]:
        return {}
    mail: dict[str, Any] = (await http.get(f"/inbox/{listing['messages'][0]['number']}.json")).json()
    rows = LexborHTMLParser(mail["html"]).css("[data-gda-message]")
    texts = {str(row.attributes["data-gda-message"]): row.text() for row in rows}
    return {message: NO_SENDER in text or NO_SUBJECT in text for message, text in texts.items()}
