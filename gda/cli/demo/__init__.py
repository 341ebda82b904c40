"""``gda demo``: the whole of GDA on this machine, with sample people and real digests."""

import asyncio
import sys
from pathlib import Path

from gda.cli.demo.people import SAMPLE_PEOPLE, people
from gda.cli.demo.play import play
from gda.cli.demo.results import Results
from gda.cli.demo.stage import Stage, set_up
from gda.cli.output import Flag, Json, show_fields, show_json
from gda.cli.processes import Children, stopping_on_sigterm
from gda.cli.run import FAILED, say, settings
from gda.errors import UsageError

MOST_USERS = 1000


async def demo(
    *,
    once: Flag = False,
    users: int = len(SAMPLE_PEOPLE),
    mail: Path | None = None,
    port: int | None = None,
    sandbox_port: int | None = None,
    smtp_port: int | None = None,
    json: Json = False,
) -> int:
    """Start sandbox, Prefect server and worker, deliver a digest to everybody, and stay until Ctrl-C.

    Args:
        once: End when the digests are delivered.
        users: How many people; more than six get made-up mail.
        mail: A folder of .eml files, a Maildir or an mbox file of your own: everybody's mailbox.
        port: Port of Prefect's server and UI; a free one when left out.
        sandbox_port: Port of the inbox page and of Gmail's protocol; a free one when left out.
        smtp_port: Port of the mail sink; a free one when left out.
        json: Print what was delivered as JSON.
    """
    if not 1 <= users <= MOST_USERS:
        raise UsageError(f"--users {users}: choose from 1 to {MOST_USERS}")
    if mail is not None:
        mail = await asyncio.to_thread(_require_mail, mail)
    ports = {"--port": port, "--sandbox-port": sandbox_port, "--smtp-port": smtp_port}
    with set_up(settings().home, ports) as stage, stopping_on_sigterm():
        say(f"starting afresh in {stage.folder}; what an earlier demo left there is gone")
        stage.enter()
        async with Children(stage.folder / "logs") as children:
            results = await play(stage, children, people(users), mail)
            _show(results, as_json=json)
            if not once:
                _say_what_next(stage)
                await children.alongside(asyncio.Event().wait())
    return 0 if results.is_success else FAILED


def _require_mail(mail: Path) -> Path:
    from gda.sandbox.sources import read_mail

    if not read_mail(mail):
        raise UsageError(f"there is no mail at {mail}: give a folder of .eml files, a Maildir or an mbox file")
    return mail.resolve()


def _show(results: Results, *, as_json: bool) -> None:
    if as_json:
        show_json(results)
    else:
        show_fields(
            {
                "delivered": f"{results.delivered} of {results.users} digests in {results.seconds:.0f} s",
                "messages": f"{results.messages_listed} listed of {results.messages_in} in the mailboxes",
                "duplicates": results.duplicates,
                "dead": results.dead,
                "inbox": results.inbox,
                "Prefect": results.server,
            }
        )
    sys.stdout.flush()


def _say_what_next(stage: Stage) -> None:
    say(
        "\nRead the digests at the inbox's address; see deployments and runs in Prefect's UI. In another terminal:\n\n"
        f"  export GDA_HOME={stage.folder} PREFECT_API_URL={stage.api_url}\n"
        "  gda occurrences list\n"
        "  gda schedule next ada\n"
        "  gda trigger digest --user ada --extra --wait\n\n"
        "Ctrl-C ends it all."
    )
