"""The demo's people: six with sample mailboxes in six timezones, and as many made-up ones as asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gda.jobs import DIGEST

if TYPE_CHECKING:
    from gda.settings import Settings
    from gda.store import Store

DOMAIN = "demo.example"


@dataclass(frozen=True, slots=True)
class Person:
    """One demo user; ``samples`` names the shipped mailbox, empty for made-up mail."""

    id: str
    name: str
    timezone: str
    expression: str
    samples: str = ""

    @property
    def email(self) -> str:
        """Where the digest goes."""
        return f"{self.id}@{DOMAIN}"


SAMPLE_PEOPLE = (
    Person("ada", "Ada", "Europe/London", "weekdays 07:30", "ada"),
    Person("bruno", "Bruno", "America/Sao_Paulo", "daily 08:00", "bruno"),
    Person("chandra", "Chandra", "Asia/Kolkata", "daily 06:45", "chandra"),
    Person("dina", "Dina", "America/New_York", "weekly mon,wed,fri 07:15", "dina"),
    Person("emeka", "Emeka", "Africa/Lagos", "weekdays 08:15", "emeka"),
    Person("fumiko", "Fumiko", "Asia/Tokyo", "30 7 * * 1-5", "fumiko"),
)


def people(count: int) -> list[Person]:
    """The first ``count``: the sample people, then made-up ones in the same timezones, spread over the hour."""
    made_up = []
    for number in range(len(SAMPLE_PEOPLE) + 1, count + 1):
        like = SAMPLE_PEOPLE[number % len(SAMPLE_PEOPLE)]
        made_up.append(Person(f"user{number}", f"User {number}", like.timezone, f"daily 07:{number % 60:02}"))
    return [*SAMPLE_PEOPLE, *made_up][:count]


async def open_mailboxes(sandbox: str, crowd: Sequence[Person], mail: Path | None) -> dict[str, str]:
    """Open each person's mailbox in the sandbox at that address; returns refresh tokens by user id."""
    import httpx

    accounts = [{"email": person.email, **_source(person, mail)} for person in crowd]
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        answer = await http.post(f"{sandbox}/_sandbox/accounts", json={"accounts": accounts})
        answer.raise_for_status()
    opened = answer.json()["accounts"]
    return {person.id: account["refresh_token"] for person, account in zip(crowd, opened, strict=True)}


async def enrol(store: "Store", settings: "Settings", crowd: Sequence[Person], tokens: dict[str, str]) -> None:
    """Add the people with consent and a digest schedule each."""
    from gda.store import Credential, Wish
    from gda.vault import Vault

    vault = Vault.from_settings(settings)
    for person in crowd:
        await store.users.add(person.email, timezone=person.timezone, name=person.name, user_id=person.id)
    await store.credentials.put(
        [Credential(id, "google", vault.seal(id, token), None, None, "active") for id, token in tokens.items()]
    )
    for person in crowd:
        await store.schedules.set(Wish(person.id, DIGEST, person.expression))


def _source(person: Person, mail: Path | None) -> dict[str, Any]:
    if mail is not None:
        return {"mail": str(mail)}
    return {"samples": person.samples} if person.samples else {"generate": {}}
