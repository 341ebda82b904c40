"""docker/compose.yaml without an engine: its commands run as processes, its health checks decide, a digest arrives.

Prefect's server uses PostgreSQL like the ledger, except where the PostgreSQL at hand lacks the extension pg_trgm (the
wheel of the test extra has none): there Prefect keeps to its own SQLite, and the ledger is on PostgreSQL all the same.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from deployments.system import find_file, read_system_specs
from gda.settings import Settings
from gda.store import Credential, open_store
from gda.vault import Vault, new_key
from tests.conftest import WITHOUT_POSTGRES
from tests.support.compose import (
    DOCKER,
    Compose,
    Machine,
    Ran,
    copied_by_the_image,
    documented_commands,
    filled_in,
    search_path,
)
from tests.support.postgres import Postgres, find_binaries, running_postgres
from tests.support.prefect_server import free_port
from tests.support.sandbox import RunningSandbox, running_sandbox

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.asyncio(loop_scope="module")]

JOBS = len(read_system_specs(find_file(), Settings()))
AUTH = ("gda", "s3cret")
PSQL = ("psql", "--no-psqlrc", "--no-password", "--host", "127.0.0.1", "--dbname", "postgres", "--username")


@dataclass(frozen=True, slots=True)
class Stack:
    """The services while they run; ``migrated`` is what the one-shot service said."""

    machine: Machine
    google: RunningSandbox
    postgres: Postgres
    migrated: Ran

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.machine.ports['server']}/api"

    async def command(self, *words: str) -> str:
        """Run a command as ``docker compose run --rm migrate`` does and return its output."""
        ran = await self.machine.run("migrate", *words)
        assert ran.code == 0, ran
        return ran.out

    async def consents(self, user: str) -> None:
        """Store the consent of a user to the sandbox's account, which has the sample mail of that name."""
        keys = SecretStr(self.machine.compose.variables["GDA_KEYS"])
        settings = Settings(database_url=SecretStr(self.postgres.url("gda")), keys=keys)
        account = self.google.sandbox.open_account(f"{user}@example.org", samples=user)
        sealed = Vault.from_settings(settings).seal(user, account.refresh_token)
        async with open_store(settings) as store:
            await store.credentials.put([Credential(user, "google", sealed, None, None, "active")])


def variables(google: RunningSandbox) -> dict[str, str]:
    """``.env``, filled in for a sandbox that stands in for Google and the mail server."""
    return filled_in(
        (DOCKER / ".env.example").read_text(),
        {
            "POSTGRES_PASSWORD": "pa55word",
            "PREFECT_AUTH_STRING": ":".join(AUTH),
            "GDA_KEYS": new_key(),
            "GDA_GOOGLE_CLIENT_ID": "gda-sandbox",
            "GDA_GOOGLE_CLIENT_SECRET": "sandbox-secret",
            "GDA_GOOGLE_TOKEN_URL": f"{google.http}/token",
            "GDA_GOOGLE_API_URL": google.http,
            "GDA_SMTP_HOST": "127.0.0.1",
            "GDA_SMTP_PORT": str(google.smtp_port),
            "GDA_SMTP_SECURITY": "none",
            "GDA_MAIL_SETTLING_SECONDS": "30",
            "GDA_DIGEST_DRAIN_ENABLED": "false",
        },
    )


async def initialised(machine: Machine) -> Machine:
    """Do what the database's image does at its first start: make the superuser, run init.sql."""
    made = await machine.run("database", *PSQL, "gda", "-c", "CREATE ROLE postgres SUPERUSER LOGIN")
    assert made.code == 0, made
    offered = await machine.run("database", *PSQL, "postgres", "-Atc", "SELECT name FROM pg_available_extensions")
    has_trgm = "pg_trgm" in offered.out.split()
    script = ("-v", f"ON_ERROR_STOP={int(has_trgm)}", "-f", str(DOCKER / "init.sql"))
    done = await machine.run("database", *PSQL, "postgres", *script)
    assert done.code == 0, done
    return machine if has_trgm else replace(machine, left_out=frozenset({"PREFECT_API_DATABASE_CONNECTION_URL"}))


@asynccontextmanager
async def running_stack(folder: Path) -> AsyncIterator[Stack]:
    """Start the services in the order of what they depend on, each when those are healthy or have ended well."""
    async with AsyncExitStack() as stack:
        google = await stack.enter_async_context(running_sandbox())
        postgres = stack.enter_context(running_postgres())
        ports = {"database": postgres.port, "server": free_port()}
        ports |= {"worker": free_port(), "system-worker": free_port()}
        machine = Machine(Compose(variables(google)), folder, search_path(find_binaries()), ports)
        machine.make()
        machine = await initialised(machine)
        for name, service in machine.compose.services.items():
            if name == "database":
                await machine.healthy(name)
            elif service["restart"] == "no":
                migrated = await machine.run(name, *machine.command(name))
                assert migrated.code == 0, migrated
            else:
                await stack.enter_async_context(machine.running(name))
        yield Stack(machine, google, postgres, migrated)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    if os.environ.get(WITHOUT_POSTGRES) == "1":
        pytest.skip(f"{WITHOUT_POSTGRES}=1: PostgreSQL is left out by the wish of whoever runs the tests")
    async with running_stack(tmp_path_factory.mktemp("compose")) as running:
        yield running


async def asked(stack: Stack, path: str, auth: tuple[str, str] | None) -> Any:
    async with httpx.AsyncClient(trust_env=False, auth=auth) as client:
        return await client.post(f"{stack.api}{path}", json={})


async def test_strangers_are_turned_away_from_the_api(stack: Stack) -> None:
    for path in ("/flow_runs/filter", "/block_documents/filter"):
        assert (await asked(stack, path, None)).status_code == 401
        assert (await asked(stack, path, ("gda", "guessed"))).status_code == 401
        assert (await asked(stack, path, AUTH)).status_code == 200


async def test_after_the_migration_the_settings_stand_over_the_literals_of_prefect_yaml(stack: Stack) -> None:
    assert "Deployment 'digest/drain' successfully created" in stack.migrated.out
    deployments = (await asked(stack, "/deployments/filter", AUTH)).json()
    [drain] = [one for one in deployments if one["entrypoint"] == "flows.digest.deliver_digests"]
    assert (drain["name"], drain["schedules"][0]["active"]) == ("drain", False)


async def test_the_ledger_and_prefect_keep_their_state_in_postgresql(stack: Stack) -> None:
    tables = ("-Atc", "SELECT relname FROM pg_stat_user_tables")
    ledger = await stack.machine.run("database", *PSQL, "postgres", "--dbname", "gda", *tables)
    prefects = await stack.machine.run("database", *PSQL, "postgres", "--dbname", "prefect", *tables)
    assert {"gda_users", "gda_occurrences", "gda_effects"} <= set(ledger.out.split())
    assert ("flow_run" in prefects.out.split()) is not bool(stack.machine.left_out)


async def test_no_service_writes_into_the_images_working_directory_which_belongs_to_root(stack: Stack) -> None:
    assert {path.name for path in stack.machine.app.iterdir()} == set(copied_by_the_image())


async def test_the_worker_is_given_nothing_but_the_api(stack: Stack) -> None:
    given = stack.machine.compose.environment("worker")
    assert {name for name in given if name.startswith(("GDA_", "POSTGRES_"))} == {"GDA_HOME"}


async def test_the_documented_commands_add_a_user_whose_digest_arrives_once(stack: Stack) -> None:
    for words in documented_commands():
        said = await stack.command(*words)
    assert said.splitlines()[-1] == f"1 created, 0 updated, 0 deleted, {JOBS} unchanged"
    await stack.consents("ada")

    told = json.loads(await stack.command("gda", "trigger", "digest", "--user", "ada", "--extra", "--wait", "--json"))

    assert told["state"] == "Completed", told
    [occurrence] = told["occurrences"]
    assert occurrence["status"] == "done"
    mails = [mail for mail in stack.google.sandbox.accepted.find() if mail.occurrence == occurrence["id"]]
    assert [mail.recipients for mail in mails] == [("ada@example.org",)]
