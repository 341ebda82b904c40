"""``gda sandbox``: a stand-in for Google in the foreground."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gda.cli.processes import require_free
from gda.cli.run import say
from gda.errors import UsageError


async def sandbox(
    *,
    port: int = 0,
    smtp_port: int = 0,
    mail: Path | None = None,
    account: Annotated[list[str] | None, Parameter(negative="")] = None,
    data: Path | None = None,
) -> None:
    """Run a stand-in for Google on loopback until Ctrl-C; its first line of output says where it listens, as JSON.

    Args:
        port: Port of Gmail's and Calendar's protocol and of the inbox page; 0: a free one.
        smtp_port: Port of the mail sink; 0: a free one.
        mail: A folder of .eml and .ics files, a Maildir, an mbox or an .ics file: what every account begins with.
        account: An address to open a mailbox for; may be repeated.
        data: Folder in which accounts and mail outlive a restart; memory only when left out.
    """
    from gda.sandbox import SandboxOptions, serve
    from gda.sandbox.sources import read_mail

    if mail is not None:
        read_mail(mail)
        if not account:
            raise UsageError("--mail needs an account to put the mail into: give --account EMAIL")
    for option, number in (("--port", port), ("--smtp-port", smtp_port)):
        if number:
            require_free(number, option)
    options = SandboxOptions(
        http_port=port, smtp_port=smtp_port, accounts=[(email, mail) for email in account or ()], data=data
    )
    await serve(options, ready=lambda address: say(f"inbox {address.http}/inbox  mail sink port {address.smtp_port}"))
