"""Secrets and mail content are where they must be and nowhere else: not in databases, logs, states or error texts."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gda.sandbox import Sandbox
from gda.sandbox.faults import Fault
from gda.store import Credential
from gda.vault import Vault, new_key
from tests.support.flow_runs import Scene, a_scene, sent_to_prefect
from tests.support.household import Household, a_household
from tests.support.leaks import files_in, leaks
from tests.support.sandbox import plain_mail

CONTENT = {"mail subject": "canary-subject-b7Qe2", "mail body": "canary-body-Zt81x"}
PASSWORDS = {"SMTP password": "canary-smtp-password-91Lk", "client secret": "canary-client-secret-77Pw"}
TROUBLES = (
    Fault("server_error", endpoint="messages.list", status=503),
    Fault("server_error", endpoint="token", status=500),
    Fault("malformed", endpoint="messages.list"),
    Fault("malformed", endpoint="messages.get"),
    Fault("malformed", endpoint="token"),
    Fault("rate_limit", endpoint="messages.list", retry_after=60),
    Fault("smtp_reject", code=550),
    Fault("smtp_reject", code=451),
    Fault("accept_then_drop"),
)


@dataclass(frozen=True, slots=True)
class Canaries:
    """The settings that carry canaries, and by name every string that must not be found."""

    settings: dict[str, Any]
    secrets: dict[str, str]


def canaries() -> Canaries:
    key = new_key()
    settings = {
        "keys": key,
        "smtp_username": "digest",
        "smtp_password": PASSWORDS["SMTP password"],
        "google_client_secret": PASSWORDS["client secret"],
    }
    return Canaries(settings, {**PASSWORDS, **CONTENT, "Fernet key": key})


pytestmark = pytest.mark.slow


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    folder = tmp_path / "mail"
    folder.mkdir()
    content = plain_mail(f"About {CONTENT['mail subject']}", body=f"Dear Ada, {CONTENT['mail body']}.")
    (folder / "1.eml").write_bytes(content)
    return folder


async def tokens_of(house: Household, secrets: dict[str, str]) -> None:
    """Give every user tokens that are canaries: a refresh token, and access tokens as the sandbox draws them."""
    vault = Vault.from_settings(house.settings)
    accounts = house.google.sandbox.accounts
    accounts.issue_access_token = _remembering(accounts.issue_access_token, secrets)  # type: ignore[method-assign]
    for account in accounts.all():
        user = account.email.partition("@")[0]
        secrets[f"refresh token of {user}"] = account.refresh_token
        sealed = vault.seal(user, account.refresh_token)
        await house.store.credentials.put([Credential(user, "google", sealed, None, None, "active")])


def _remembering(issue: Any, secrets: dict[str, str]) -> Any:
    def issued(*arguments: Any) -> str:
        token: str = issue(*arguments)
        secrets[f"access token {len(secrets)}"] = token
        return token

    return issued


def expect_client_secret(sandbox: Sandbox) -> None:
    sandbox.client_secret = PASSWORDS["client secret"]


def users() -> list[str]:
    return ["well", "revoked", *(f"trouble{number}" for number in range(len(TROUBLES)))]


def switch_on_all(house: Household) -> None:
    sandbox = house.google.sandbox
    revoked = sandbox.accounts.by_email("revoked@example.org")
    assert revoked is not None
    sandbox.set_revoked(revoked, True)
    for number, fault in enumerate(TROUBLES):
        details = {name: getattr(fault, name) for name in ("endpoint", "status", "retry_after", "code")}
        house.fault(fault.kind, user=f"trouble{number}@example.org", **details)


async def told_by_the_ledger(house: Household) -> bytes:
    """Everything that people are shown of occurrences, attempts, effects and deaths."""
    rows = await house.store.history.list(limit=100)
    return repr([await house.store.history.story(row.id) for row in rows]).encode()


async def test_directly_nothing_leaks_into_database_logs_or_error_texts(tmp_path, mail, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    given = canaries()
    async with a_household(tmp_path / "state", *users(), mail=mail, **given.settings) as house:
        expect_client_secret(house.google.sandbox)
        await tokens_of(house, given.secrets)
        switch_on_all(house)
        reports = {user: str(await house.asked(user, run=user)) for user in users()}
        told = await told_by_the_ledger(house)
        mails = house.accepted("well")
        places = files_in(tmp_path / "state") | {"ledger": told, "reports": repr(reports).encode()}
    out, err = capfd.readouterr()
    places |= {"log": caplog.text.encode(), "output": out.encode(), "errors": err.encode()}

    assert reports["well"] == "1 done"
    assert reports["revoked"] == "1 held"
    assert {report for user, report in reports.items() if user.startswith("trouble")} >= {"1 retrying", "1 dead"}
    assert any(place.endswith("gda.db-wal") for place in places)
    assert sum("token" in name for name in given.secrets) > len(users())
    # The canaries did travel: the digest itself holds the subject.
    assert leaks(CONTENT, {"mail": mails[0].content.raw}) != []
    assert leaks(given.secrets, places) == []


async def files_of_prefect(scene: Scene, server_home: Path) -> dict[str, bytes]:
    """All files of Prefect's server, once it has been told everything that this process had to tell."""
    await sent_to_prefect()
    return files_in(server_home, scene.results)


async def test_through_the_flow_nothing_leaks_into_prefect(prefect_server, tmp_path, mail, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG, "gda")
    given = canaries()
    people = users()
    # Early margin 0: the run ends instead of waiting for short backoffs.
    settings = given.settings | {"early_seconds": 0}
    async with a_scene(prefect_server, tmp_path / "state", monkeypatch, *people, mail=mail, **settings) as scene:
        expect_client_secret(scene.house.google.sandbox)
        await tokens_of(scene.house, given.secrets)
        switch_on_all(scene.house)
        await scene.owed(*people)
        batch = await scene.ran(tasks=len(people))
        told = await told_by_the_ledger(scene.house)
        places = await files_of_prefect(scene, prefect_server.home)
        places |= files_in(tmp_path / "state") | {"ledger": told, "states": repr(batch).encode()}
    out, err = capfd.readouterr()
    places |= {"log": caplog.text.encode(), "output": out.encode(), "errors": err.encode()}

    assert batch.state.message == "1 dead; 2 done; 1 held; 7 retrying"
    assert leaks(given.secrets, places) == []
    # Positive control: what Prefect may know is found by the same search in the same files.
    known = leaks({"occurrence": next(iter(batch.tasks)), "run": str(batch.run.id)}, places)
    assert any("prefect.db" in place for place in known)


async def test_a_planted_leak_is_found_by_the_same_search(tmp_path, mail, caplog):
    given = canaries()
    async with a_household(tmp_path / "state", "ada", mail=mail, **given.settings) as house:
        expect_client_secret(house.google.sandbox)
        await tokens_of(house, given.secrets)
        token = given.secrets["refresh token of ada"]
        await house.store.users.rename("ada", f"name with {token}")
        logging.getLogger("gda").warning("the body was %s", CONTENT["mail body"])
        found = leaks(given.secrets, files_in(tmp_path / "state") | {"log": caplog.text.encode()})

    assert {name for name, _, _ in (leak.partition(" in ") for leak in found)} == {
        "refresh token of ada",
        "mail body",
    }
