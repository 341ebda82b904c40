"""Mail over SMTP on a few kept connections, with one exact answer to "was it accepted?".

Source of the rules: RFC 5321 sections 4.1.1.4 (DATA), 4.2.1 (reply codes) and 4.5.2 (transparency).
"""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from types import TracebackType
from typing import Self

import aiosmtplib

from gda.errors import InDoubt, Permanent, ProviderError, Transient, UsageError
from gda.loopback import is_loopback
from gda.settings import Settings

_NAMED = re.compile(r"[^<>]*<([^<>]+)>\s*")
_ADDRESS = re.compile(r'[^\s<>,;:"()\[\]\\@]+@[^\s<>,;"()\\@]+')
_MENTIONED_ADDRESS = re.compile(r"\S+@\S+")
_ENHANCED_CODE = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_HOST_NAME = re.compile(r"[A-Za-z0-9.-]{1,253}")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_LONGEST_ADDRESS = 254
_LONGEST_RECORD = 200
_GOODBYE_SECONDS = 2.0

Check = Callable[[], Awaitable[None]]


class SmtpPool:
    """Connections to the mail server of the settings, opened when needed, reused, at most ``smtp_connections``.

    Use as an async context manager, in one event loop; leaving it says goodbye to the server.

    Args:
        settings: server, security, login, timeouts in seconds.

    Raises:
        UsageError: the password would cross a network in clear text.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.smtp_security == "none" and settings.smtp_username and not is_loopback(settings.smtp_host):
            raise UsageError(
                f"GDA_SMTP_SECURITY=none would send the password to {settings.smtp_host} in clear text; "
                "use starttls or tls, or a server on this machine"
            )
        self._settings = settings
        self._free = asyncio.Semaphore(settings.smtp_connections)
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []
        self._tls: ssl.SSLContext | None = None
        self._own_name: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kept, self._idle = self._idle, []
        await asyncio.gather(*(_say_goodbye(connection) for connection, _ in kept))

    async def send(self, raw: bytes, *, sender: str, recipient: str, check: Check | None = None) -> str:
        """Hand one message to the mail server.

        Args:
            raw: the whole message; kept byte for byte, but line ends become CRLF and SMTP doubles leading dots.
            sender: the envelope's sender, as an address or as ``Name <address>``.
            recipient: the envelope's recipient, likewise.
            check: awaited when the server has said "go ahead" and nothing of the content has left; what it raises
                stops the message, and is raised (the lease check).

        Returns:
            The server's last reply without addresses, for the record.

        Raises:
            Transient: not accepted now (4xx, no connection, a timeout before the content).
            Permanent: refused (5xx), or an address that cannot be one.
            InDoubt: the content went out and the reply did not come.
        """
        envelope = _envelope(sender, "sender"), _envelope(recipient, "recipient")
        content = _on_the_wire(raw)
        async with self._connection(*envelope) as connection:
            await _command(connection, b"DATA", expected=(354,))
            if check is not None:
                await check()
            return await _deliver(connection, content, self._settings.smtp_timeout_seconds)

    @asynccontextmanager
    async def _connection(self, sender: str, recipient: str) -> AsyncIterator[aiosmtplib.SMTP]:
        """A connection that has accepted the envelope; kept if the block ends well, closed if not."""
        async with self._free:
            connection = await self._with_envelope(sender, recipient)
            try:
                yield connection
            except BaseException:
                # After a failure the dialogue's state is unknown, and an unfinished DATA must not be finished.
                _abort(connection)
                raise
            self._keep(connection)

    async def _with_envelope(self, sender: str, recipient: str) -> aiosmtplib.SMTP:
        kept = self._take()
        if kept is not None:
            with suppress(_Closed):
                return await _announce(kept, sender, recipient)
        return await _announce(await self._open(), sender, recipient)

    def _take(self) -> aiosmtplib.SMTP | None:
        oldest = asyncio.get_running_loop().time() - self._settings.smtp_idle_seconds
        while self._idle:
            connection, since = self._idle.pop()
            if connection.is_connected and since >= oldest:
                return connection
            _abort(connection)
        return None

    def _keep(self, connection: aiosmtplib.SMTP) -> None:
        self._idle.append((connection, asyncio.get_running_loop().time()))

    async def _open(self) -> aiosmtplib.SMTP:
        settings = self._settings
        if self._tls is None and settings.smtp_security != "none":
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        if self._own_name is None:
            self._own_name = "localhost" if is_loopback(settings.smtp_host) else await asyncio.to_thread(_own_name)
        connection = aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            timeout=settings.smtp_timeout_seconds,
            use_tls=settings.smtp_security == "tls",
            start_tls=settings.smtp_security == "starttls",
            tls_context=self._tls,
            local_hostname=self._own_name,
        )
        problem = await self._greet(connection)
        if problem is not None:
            _abort(connection)
            raise problem
        return connection

    async def _greet(self, connection: aiosmtplib.SMTP) -> ProviderError | None:
        """Connect, secure, log in; errors are returned, for aiosmtplib's quote the server and must not be chained."""
        settings = self._settings
        try:
            await connection.connect()
            if connection.is_ehlo_or_helo_needed:
                await connection.ehlo()
            if settings.smtp_username:
                await connection.login(settings.smtp_username, settings.smtp_password.get_secret_value())
        except aiosmtplib.SMTPResponseException as error:
            return _refusal("connect", error.code, error.message)
        except (OSError, TimeoutError) as error:
            return Transient(f"smtp connect: {type(error).__name__}")
        except aiosmtplib.SMTPException as error:
            return Permanent(
                f"smtp connect: {type(error).__name__}: no STARTTLS or no login method there; see GDA_SMTP_SECURITY"
            )
        return None


class _Closed(Transient):
    """The connection ended before any content left; a new one may do."""


async def _announce(connection: aiosmtplib.SMTP, sender: str, recipient: str) -> aiosmtplib.SMTP:
    """Say from whom and to whom; return the connection, or close it and raise."""
    international = [] if (sender + recipient).isascii() else [b"SMTPUTF8"]
    try:
        if international and not connection.supports_extension("smtputf8"):
            raise Permanent("smtp: an address is not ASCII and the server does not offer SMTPUTF8")
        # BODY is declared whatever the content holds: a server that offers 8BITMIME takes 7-bit content under it.
        eight_bit = [b"BODY=8BITMIME"] if connection.supports_extension("8bitmime") else []
        await _command(connection, b"MAIL", f"FROM:<{sender}>".encode(), *eight_bit, *international)
        await _command(connection, b"RCPT", f"TO:<{recipient}>".encode(), expected=(250, 251))
    except BaseException:
        _abort(connection)
        raise
    return connection


async def _command(connection: aiosmtplib.SMTP, verb: bytes, *words: bytes, expected: tuple[int, ...] = (250,)) -> None:
    name = verb.decode("ascii")
    try:
        reply = await connection.execute_command(verb, *words)
    except (aiosmtplib.SMTPException, OSError) as error:
        problem: ProviderError = _Closed(f"smtp {name}: {type(error).__name__}")
    else:
        if reply.code in expected:
            return
        problem = _refusal(name, reply.code, reply.message)
    raise problem


async def _deliver(connection: aiosmtplib.SMTP, content: bytes, timeout: float) -> str:
    """Send the content and read the verdict; from the first byte on, no verdict means doubt."""
    protocol = connection.protocol
    if protocol is None or not protocol.is_connected:
        raise Transient("smtp DATA: the connection closed before the content left")
    try:
        protocol.write(content)
        reply = await protocol.read_response(timeout=timeout)
    except (aiosmtplib.SMTPException, OSError) as error:
        problem: InDoubt | ProviderError = InDoubt(f"smtp DATA: {type(error).__name__} before the server's reply")
    else:
        if 200 <= reply.code < 300:
            return _record(reply.code, reply.message)
        problem = InDoubt(f"smtp DATA: unexpected reply {reply.code}")
        if 400 <= reply.code < 600:
            problem = _refusal("DATA", reply.code, reply.message)
    raise problem


def _refusal(verb: str, code: int, message: str) -> ProviderError:
    # Only the codes: servers like to quote addresses, and spam filters content, in their texts.
    enhanced = _ENHANCED_CODE.match(message)
    text = f"smtp {verb}: {code} {enhanced[0] if enhanced else ''}".rstrip()
    if code == 421:
        return _Closed(text)
    return Permanent(text) if 500 <= code < 600 else Transient(text)


def _record(code: int, message: str) -> str:
    line = message.splitlines()[0] if message else ""
    return _MENTIONED_ADDRESS.sub("(address)", f"{code} {line}"[:_LONGEST_RECORD])


def _on_the_wire(raw: bytes) -> bytes:
    """CRLF line ends only (a lone CR or LF could end the content early for some servers), dots doubled, end mark."""
    pairs = raw.count(b"\r\n")
    if raw.count(b"\n") != pairs or raw.count(b"\r") != pairs:
        raw = _LINE_END.sub(b"\r\n", raw)
    doubled = raw.replace(b"\r\n.", b"\r\n..")
    return b"".join(
        (b"." if raw.startswith(b".") else b"", doubled, b"" if doubled.endswith(b"\r\n") else b"\r\n", b".\r\n")
    )


@lru_cache(1024)
def _envelope(text: str, role: str) -> str:
    named = _NAMED.fullmatch(text)
    address = named[1] if named else text.strip()
    if not _ADDRESS.fullmatch(address) or len(address.encode()) > _LONGEST_ADDRESS or not text.isprintable():
        raise Permanent(
            f"smtp: the {role}'s address is not one plain address (user@host, no control characters, at most 254 bytes)"
        )
    return address


def _own_name() -> str:
    name = socket.getfqdn()
    return name if _HOST_NAME.fullmatch(name) else "localhost"


def _abort(connection: aiosmtplib.SMTP) -> None:
    # close() alone would still flush what is buffered, and so finish a message that was given up.
    if isinstance(connection.transport, asyncio.WriteTransport):
        connection.transport.abort()
    connection.close()


async def _say_goodbye(connection: aiosmtplib.SMTP) -> None:
    with suppress(aiosmtplib.SMTPException, OSError):
        await connection.quit(timeout=_GOODBYE_SECONDS)
    _abort(connection)
