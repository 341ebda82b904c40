"""What a person hears of dead letters through a real Prefect server: events, a table, a notification, a replay."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from deployments.automations import NAME, ensure_automation
from flows.dead_letters import replay_dead_letters
from gda.errors import UsageError
from gda.glue.dead_letter_news import TABLE, announce_deaths
from gda.lifecycle import Status
from gda.settings import Settings
from gda.store import Which
from tests.support.flow_runs import a_scene, sent_to_prefect
from tests.support.sandbox import plain_mail
from tests.support.town import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    folder = tmp_path / "mail"
    folder.mkdir()
    (folder / "1.eml").write_bytes(plain_mail("A private matter"))
    return folder


@asynccontextmanager
async def a_listener() -> AsyncIterator[tuple[str, list[str]]]:
    """A web server that keeps what is posted to it."""
    heard: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in head.lower().splitlines() if line.startswith("content-length")
        )
        heard.append((await reader.readexactly(length)).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", heard


async def tables(scene: Any) -> list[Any]:
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[TABLE]))
    found: list[Any] = await scene.client.read_artifacts(artifact_filter=wanted)
    return found


async def test_a_death_is_told_by_event_table_and_notification_and_mended_from_the_ui(
    prefect_server, tmp_path, monkeypatch, mail
):
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada", mail=mail) as scene, a_listener() as (url, heard):
        block = CustomWebhookNotificationBlock(
            name="ops", url=url, method="POST", json_data={"subject": "{{subject}}", "text": "{{body}}"}
        )
        await block.save("ops", overwrite=True)
        settings = Settings(dead_letter_notify="custom-webhook/ops")
        written = [await ensure_automation(scene.client, settings) for _ in range(2)]
        scene.house.fault("smtp_reject", code=550)

        await scene.ran(user="ada")
        await sent_to_prefect()
        [letter] = await scene.house.store.dead_letters.find(Which())
        table = (await eventually(lambda: tables(scene), "the table is there"))[0]
        await eventually(lambda: heard_of(heard, letter.occurrence_id), "the notification arrives")
        told_again = await announce_deaths(scene.house.store)

        refused = await replay_dead_letters(return_state=True)
        dry = await replay_dead_letters(kind="digest", return_state=True)
        still = await scene.house.store.ledger.get(letter.occurrence_id)
        scene.house.google.sandbox.faults.clear()
        replayed = await replay_dead_letters(kind="digest", dry_run=False, return_state=True)
        mended = await scene.ran()
        again = await replay_dead_letters(everything=True, dry_run=False, return_state=True)
        mails = scene.house.accepted("ada")
        removed = [await ensure_automation(scene.client, Settings()) for _ in range(2)]
        left = await scene.client.read_automations_by_name(NAME)

    assert (written, removed, left) == ([True, False], [True, False], [])
    assert letter.occurrence_id in table.data
    assert "private" not in table.data
    assert "private" not in "".join(heard)
    assert told_again == 0
    assert (refused.name, dry.message, still.status) == ("Refused", "1 would be replayed", Status.DEAD)
    assert (replayed.message, mended.state.message, again.message) == ("1 replayed", "1 done", "0 replayed")
    assert len(mails) == 1


async def heard_of(heard: list[str], occurrence_id: str) -> bool:
    return any(occurrence_id in text for text in heard)


async def test_a_notification_block_that_does_not_exist_is_named(prefect_server):
    async with prefect_server.client() as client:
        with pytest.raises(UsageError, match="GDA_DEAD_LETTER_NOTIFY='slack-webhook/nobody' names no block"):
            await ensure_automation(client, Settings(dead_letter_notify="slack-webhook/nobody"))
