"""The automation that tells the operator of dead letters, through a notification block of the operator's choice."""

from typing import TYPE_CHECKING

from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound

from gda.errors import UsageError
from gda.glue.dead_letter_news import EVENT
from gda.settings import Settings

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient

NAME = "gda-dead-letters"
SUBJECT = "GDA: {{ event.payload.kind }} of {{ event.payload.user }} gave up"
BODY = (
    "Occurrence {{ event.payload.occurrence }}, slot {{ event.payload.slot }}: {{ event.payload.reason }} "
    "({{ event.payload.error }}). `gda dead-letters show {{ event.payload.occurrence }}` tells all."
)


async def ensure_automation(client: "PrefectClient", settings: Settings) -> bool:
    """Make the automation as ``GDA_DEAD_LETTER_NOTIFY`` wants it, or take it away where that is empty.

    Args:
        client: an open Prefect client.
        settings: ``dead_letter_notify`` names the block as ``type/name``, such as ``slack-webhook/ops``.

    Returns:
        Whether something was written.

    Raises:
        UsageError: there is no such block.
    """
    there = [one for one in await client.read_automations_by_name(NAME) if one.name == NAME]
    if not settings.dead_letter_notify:
        for one in there:
            await client.delete_automation(one.id)
        return bool(there)
    wanted = automation(await block_id(client, settings.dead_letter_notify))
    for one in there[:1]:
        same = (one.trigger, one.actions, one.enabled) == (wanted.trigger, wanted.actions, wanted.enabled)
        if not same:
            await client.update_automation(one.id, wanted)
        return not same
    await client.create_automation(wanted)
    return True


def automation(block: "UUID") -> AutomationCore:
    """What is wanted: one notification per event."""
    return AutomationCore(
        name=NAME,
        description="Tells of each occurrence that gave up.",
        enabled=True,
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": "gda.occurrence.*"}),
            expect={EVENT},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[SendNotification(block_document_id=block, subject=SUBJECT, body=BODY)],
    )


async def block_id(client: "PrefectClient", name: str) -> "UUID":
    """The id of a block named as ``type/name``. Raises UsageError."""
    block_type, _, document = name.partition("/")
    try:
        return (await client.read_block_document_by_name(document, block_type)).id
    except ObjectNotFound:
        raise UsageError(
            f"GDA_DEAD_LETTER_NOTIFY={name!r} names no block of this Prefect server: make one in the UI under Blocks, "
            "and write its type and name, such as slack-webhook/ops"
        ) from None
