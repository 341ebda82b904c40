"""The mail sink: an SMTP server in the event loop that takes any mail and delivers it into sandbox mailboxes."""

import asyncio
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from gda.sandbox.faults import Fault
from gda.sandbox.state import Sandbox

MAX_BYTES = 36 * 1024 * 1024
IDLE_SECONDS = 20.0
_END_OF_DATA = b"\r\n.\r\n"


class SinkHandler:
    """What happens with one message, faults included."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def handle_DATA(self, server: "SinkProtocol", session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Accept one message; the reply is an SMTP line, empty when the connection was closed instead."""
        users = tuple(user.lower() for user in envelope.rcpt_tos)
        faults = self._sandbox.faults
        slow = faults.take("smtp_slow", "smtp", *users) if faults else None
        if slow and not slow.after:
            await server.stay_silent(slow.seconds)
        if faults:
            refusal = faults.take("smtp_reject", "smtp", *users)
            if refusal:
                return _refusal(refusal)
        record, _ = self._sandbox.accept(
            cast(bytes, envelope.content), sender=envelope.mail_from or "", recipients=users, channel="smtp"
        )
        if slow and slow.after:
            await server.stay_silent(slow.seconds)
        if faults and faults.take("accept_then_drop", "smtp", *users):
            server.hang_up()
            return ""
        return f"250 2.0.0 OK queued as {record.number}"


class SinkProtocol(SMTP):
    """aiosmtpd's protocol with a cheap DATA: the whole message is taken at once instead of line by line.

    aiosmtpd's own loop costs several microseconds per line and refuses lines of more than 1001 bytes; a sink takes any
    mail. The stream's limit is the message limit plus what ends it.
    """

    line_length_limit = MAX_BYTES + len(_END_OF_DATA)

    def hang_up(self) -> None:
        """Close the connection without another word."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    async def stay_silent(self, seconds: float) -> None:
        """Wait before the reply without counting the wait as idle time."""
        self._reset_timeout(seconds + self._timeout_duration)
        await asyncio.sleep(seconds)

    async def push(self, status: str) -> None:  # type: ignore[override]  # GDA pushes text alone
        """Send a reply line; nothing when there is nothing to say or nobody to say it to."""
        if status and self.transport is not None:
            await super().push(status)

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        """Take one message, undo the dot-stuffing (RFC 5321 4.5.2) and hand it over."""
        if await self.check_helo_needed():
            return
        envelope = self.envelope
        if envelope is None or not envelope.rcpt_tos:
            await self.push("503 5.5.1 Error: need RCPT command")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        content = await self._read_message()
        self._reset_timeout()
        if content is None:
            status: Any = "552 5.3.4 Error: Too much mail data"
        else:
            envelope.content = envelope.original_content = content
            status = await self._call_handler_hook("DATA")
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self.push(status)

    async def _read_message(self) -> bytes | None:
        # A line end is put in front, so that a message without any line ends as every other does.
        cast(Any, self._reader)._buffer[:0] = b"\r\n"
        try:
            data: bytes = await self._reader.readuntil(_END_OF_DATA)
        except asyncio.LimitOverrunError as error:
            await self._skip_message(error.consumed)
            return None
        return data.replace(b"\r\n.", b"\r\n")[2 : -len(_END_OF_DATA) + 3]

    async def _skip_message(self, consumed: int) -> None:
        while True:
            await self._reader.readexactly(consumed)
            try:
                await self._reader.readuntil(_END_OF_DATA)
            except asyncio.LimitOverrunError as error:
                consumed = error.consumed
            else:
                return


def sink_protocol(sandbox: Sandbox, idle_seconds: float = IDLE_SECONDS) -> SinkProtocol:
    """Build the protocol of one connection; any user name and password are taken as good.

    Args:
        sandbox: where mail goes.
        idle_seconds: a connection on which nothing was said for so long is closed.
    """
    return SinkProtocol(
        SinkHandler(sandbox),
        data_size_limit=MAX_BYTES,
        enable_SMTPUTF8=True,
        hostname="sandbox.invalid",
        ident="GDA sandbox",
        timeout=idle_seconds,
        auth_require_tls=False,
        authenticator=lambda *_: AuthResult(success=True),
        loop=asyncio.get_running_loop(),
    )


def _refusal(fault: Fault) -> str:
    kind = "try again later" if fault.code < 500 else "refused for good"
    return f"{fault.code} {fault.code // 100}.3.0 sandbox fault: {kind}"
