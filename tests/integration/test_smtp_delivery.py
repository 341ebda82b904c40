"""Mail delivery against the sandbox's mail sink, and against a server that says exactly what a test wants."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from gda.delivery.smtp import SmtpPool
from gda.errors import ClaimLost, InDoubt, Permanent, ProviderError, Transient, UsageError
from gda.sandbox import Sandbox
from gda.sandbox.faults import Fault
from gda.settings import Settings
from tests.support.sandbox import running_sandbox

SENDER = "GDA digest <digest@gda.invalid>"
ADA = "ada@example.org"
MAIL = b"Subject: hello\r\nX-GDA-Occurrence: occ-1\r\n\r\nbody\r\n"


def settings(port: int, **changes: object) -> Settings:
    values: dict[str, object] = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none"}
    return Settings(**(values | {"smtp_timeout_seconds": 2} | changes))  # type: ignore[arg-type]


@asynccontextmanager
async def sink(idle_seconds: float = 20, **changes: object) -> AsyncIterator[tuple[Sandbox, SmtpPool]]:
    async with (
        running_sandbox(smtp_idle_seconds=idle_seconds) as server,
        SmtpPool(settings(server.smtp_port, **changes)) as pool,
    ):
        yield server.sandbox, pool


class Script:
    """A server that answers each command as told, closes where the answer is None, and remembers what it heard."""

    def __init__(self, answers: dict[str, str | None]) -> None:
        self.answers = {"EHLO": "250 script", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go", "QUIT": "221 bye"}
        self.overrides = answers
        self.once: dict[str, str | None] = {}
        self.heard: list[str] = []
        self.contents: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            await self._talk(reader, writer)
        finally:
            writer.close()

    @property
    def content(self) -> bytes:
        return self.contents[-1] if self.contents else b""

    @property
    def connections(self) -> int:
        return len(self.writers)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self._say(writer, "greeting", "220 script"):
            return
        while line := (await reader.readline()).decode():
            self.heard.append(line.rstrip("\r\n"))
            verb = line[:4].upper()
            if not await self._say(writer, verb, self.answers.get(verb, "500 what?")):
                return
            if verb == "DATA" and self.overrides.get("DATA", "354").startswith("354"):  # type: ignore[union-attr]
                try:
                    self.contents.append(await reader.readuntil(b"\r\n.\r\n"))
                except (asyncio.IncompleteReadError, ConnectionResetError) as cut:
                    self.contents.append(getattr(cut, "partial", b""))
                    return
                if not await self._say(writer, "end", "250 2.0.0 queued for ada@example.org as 7"):
                    return

    async def _say(self, writer: asyncio.StreamWriter, at: str, usual: str) -> bool:
        answer = self.once.pop(at) if at in self.once else self.overrides.get(at, usual)
        if answer is None:
            return False
        writer.write(answer.encode() + b"\r\n")
        await writer.drain()
        return True


@asynccontextmanager
async def scripted(answers: dict[str, str | None], **changes: object) -> AsyncIterator[tuple[Script, SmtpPool]]:
    script = Script(answers)
    server = await asyncio.start_server(script, "127.0.0.1", 0)
    async with server, SmtpPool(settings(server.sockets[0].getsockname()[1], **changes)) as pool:
        yield script, pool


def received(sandbox: Sandbox) -> list[bytes]:
    return [each.content.raw for each in sandbox.accepted.find()]


async def test_a_mail_is_handed_over_byte_for_byte() -> None:
    raw = b"Subject: dots\r\n\r\n.\r\n..two\r\n.one\r\nno dot\r\n\xff\xfe 8-bit\r\n"
    async with sink() as (sandbox, pool):
        reply = await pool.send(raw, sender=SENDER, recipient=ADA)
        (got,) = sandbox.accepted.find()
        assert got.content.raw == raw
        assert (got.sender, got.recipients) == ("digest@gda.invalid", (ADA,))
        assert reply.startswith("250 2.0.0 OK queued as")


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        (b"A: 1\n\n.\nb", b"A: 1\r\n\r\n..\r\nb\r\n.\r\n"),
        (b"A: 1\r\r\n.\r\nMAIL FROM:<x@y>\r\n", b"A: 1\r\n\r\n..\r\nMAIL FROM:<x@y>\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
    ],
)
async def test_no_line_end_can_end_the_content_early(raw: bytes, sent: bytes) -> None:
    async with scripted({}) as (script, pool):
        await pool.send(raw, sender=SENDER, recipient=ADA)
        assert script.content == sent


async def test_a_connection_is_kept_for_many_mails() -> None:
    async with scripted({}) as (script, pool):
        for _ in range(5):
            await pool.send(MAIL, sender=SENDER, recipient=ADA)
        assert script.connections == 1


async def test_no_more_connections_than_allowed_are_opened() -> None:
    async with scripted({}, smtp_connections=3) as (script, pool):
        await asyncio.gather(*(pool.send(MAIL, sender=SENDER, recipient=ADA) for _ in range(20)))
        assert 1 < script.connections <= 3


async def test_a_connection_idle_for_too_long_is_opened_anew() -> None:
    async with scripted({}, smtp_idle_seconds=0.001) as (script, pool):
        await pool.send(MAIL, sender=SENDER, recipient=ADA)
        await asyncio.sleep(0.01)
        await pool.send(MAIL, sender=SENDER, recipient=ADA)
        assert script.connections == 2


async def test_a_kept_connection_that_the_server_closed_is_replaced() -> None:
    async with sink(idle_seconds=1) as (sandbox, pool):
        await pool.send(MAIL, sender=SENDER, recipient=ADA)
        while pool._idle[0][0].is_connected:
            await asyncio.sleep(0.02)
        await pool.send(MAIL, sender=SENDER, recipient=ADA)
        assert len(sandbox.accepted) == 2


@pytest.mark.parametrize("last_words", [None, "421 4.4.2 idle for too long"])
async def test_a_kept_connection_that_ends_at_the_envelope_is_replaced(last_words: str | None) -> None:
    async with scripted({}) as (script, pool):
        await pool.send(MAIL, sender=SENDER, recipient=ADA)
        script.once["MAIL"] = last_words
        await pool.send(MAIL, sender=SENDER, recipient=ADA)
        assert script.connections == 2


@pytest.mark.parametrize(
    ("answers", "kind", "text"),
    [
        ({"greeting": "554 5.7.1 no service for ada@example.org"}, Permanent, "smtp connect: 554 5.7.1"),
        ({"greeting": "421 busy"}, Transient, "smtp connect: 421"),
        ({"greeting": None}, Transient, "smtp connect: SMTP"),
        ({"greeting": "nonsense"}, Transient, "smtp connect: -1"),
        ({"MAIL": "451 4.3.0 later"}, Transient, "smtp MAIL: 451 4.3.0"),
        ({"MAIL": None}, Transient, "smtp MAIL: SMTPServerDisconnected"),
        ({"RCPT": "550 5.1.1 <ada@example.org> unknown"}, Permanent, "smtp RCPT: 550 5.1.1"),
        ({"RCPT": "452 4.2.2 full"}, Transient, "smtp RCPT: 452 4.2.2"),
        ({"DATA": "554 5.5.1 no"}, Permanent, "smtp DATA: 554 5.5.1"),
        ({"DATA": "451 later"}, Transient, "smtp DATA: 451"),
        ({"end": "552 5.3.4 too big"}, Permanent, "smtp DATA: 552 5.3.4"),
        ({"end": "451 4.7.1 grey"}, Transient, "smtp DATA: 451 4.7.1"),
        ({"end": "421 4.3.2 going down"}, Transient, "smtp DATA: 421 4.3.2"),
        ({"end": None}, InDoubt, "smtp DATA: SMTPServerDisconnected before the server's reply"),
        ({"end": "nonsense"}, InDoubt, "smtp DATA: SMTPResponseException before the server's reply"),
        ({"end": "354 more"}, InDoubt, "smtp DATA: unexpected reply 354"),
    ],
)
async def test_what_the_server_says_decides(
    answers: dict[str, str | None], kind: type[ProviderError | InDoubt], text: str
) -> None:
    async with scripted(answers) as (_, pool):
        with pytest.raises(kind) as caught:
            await pool.send(MAIL, sender=SENDER, recipient=ADA)
        assert str(caught.value).startswith(text)
        assert "ada@" not in repr((caught.value, caught.value.__cause__, caught.value.__context__))


async def test_the_record_of_a_delivery_holds_no_address() -> None:
    async with scripted({}) as (_, pool):
        assert await pool.send(MAIL, sender=SENDER, recipient=ADA) == "250 2.0.0 queued for (address) as 7"


@pytest.mark.parametrize(("code", "kind"), [(451, Transient), (550, Permanent)])
async def test_a_refused_mail_was_not_delivered_and_the_next_one_is(code: int, kind: type[ProviderError]) -> None:
    async with sink() as (sandbox, pool):
        sandbox.faults.switch_on(Fault("smtp_reject", code=code, times=1))
        with pytest.raises(kind):
            await pool.send(MAIL, sender=SENDER, recipient=ADA)
        assert received(sandbox) == []
        await pool.send(MAIL, sender=SENDER, recipient=ADA)
        assert received(sandbox) == [MAIL]


async def test_a_connection_that_drops_before_the_reply_leaves_doubt_and_is_not_repeated() -> None:
    async with sink() as (sandbox, pool):
        await pool.send(MAIL, sender=SENDER, recipient=ADA)
        sandbox.faults.switch_on(Fault("accept_then_drop", times=1))
        with pytest.raises(InDoubt):
            await pool.send(MAIL, sender=SENDER, recipient=ADA)
        assert len(sandbox.accepted) == 2


async def test_a_reply_that_does_not_come_in_time_leaves_doubt() -> None:
    async with sink(smtp_timeout_seconds=0.2) as (sandbox, pool):
        sandbox.faults.switch_on(Fault("smtp_slow", seconds=0.5, times=1))
        with pytest.raises(InDoubt):
            await pool.send(MAIL, sender=SENDER, recipient=ADA)


async def test_no_server_is_a_passing_fault() -> None:
    async with SmtpPool(settings(9)) as pool:
        with pytest.raises(Transient, match="smtp connect"):
            await pool.send(MAIL, sender=SENDER, recipient=ADA)


async def test_the_lease_is_checked_after_go_ahead_and_before_the_content() -> None:
    async with scripted({}) as (script, pool):
        heard_by_then: list[str] = []

        async def check() -> None:
            heard_by_then.extend(script.heard)
            assert script.content == b""

        await pool.send(MAIL, sender=SENDER, recipient=ADA, check=check)
        assert heard_by_then[-1] == "DATA"
        assert script.content


async def test_a_lost_lease_stops_the_mail_and_ends_the_connection() -> None:
    async with scripted({}) as (script, pool):

        async def check() -> None:
            raise ClaimLost("occ-1")

        with pytest.raises(ClaimLost):
            await pool.send(MAIL, sender=SENDER, recipient=ADA, check=check)
        await pool.send(MAIL, sender=SENDER, recipient=ADA)
        assert script.contents == [b"", MAIL + b".\r\n"]


async def test_a_connection_lost_during_the_check_leaves_no_doubt() -> None:
    async with scripted({}) as (script, pool):

        async def check() -> None:
            script.writers[-1].close()
            await script.writers[-1].wait_closed()
            await asyncio.sleep(0.1)

        with pytest.raises(Transient, match="before the content left"):
            await pool.send(MAIL, sender=SENDER, recipient=ADA, check=check)
        assert script.content == b""


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.org>\r\nRCPT TO:<eve@example.org",
        "ada@example.org\r\n",
        "ada@example.org\0",
        "ada@example.org, eve@example.org",
        "Ada <ada@example.org> eve@example.org",
        "<ada@example.org><eve@example.org>",
        "ada @example.org",
        "ada@example.org SIZE=1",
        "a@b@example.org",
        "ada",
        "",
        "<>",
        "Ada\r\nX: y <ada@example.org>",
        f"{'a' * 250}@example.org",
    ],
)
async def test_what_is_not_one_plain_address_is_refused_and_not_quoted(address: str) -> None:
    async with scripted({}) as (script, pool):
        with pytest.raises(Permanent, match="not one plain address") as caught:
            await pool.send(MAIL, sender=SENDER, recipient=address)
        assert "example.org" not in str(caught.value)
        with pytest.raises(Permanent):
            await pool.send(MAIL, sender=address, recipient=ADA)
        assert script.connections == 0


async def test_an_international_address_needs_a_server_that_takes_it() -> None:
    async with sink() as (sandbox, pool):
        await pool.send(MAIL, sender=SENDER, recipient="ädä@example.org")
        assert sandbox.accepted.find()[0].recipients == ("ädä@example.org",)
    async with scripted({}) as (_, pool):
        with pytest.raises(Permanent, match="SMTPUTF8"):
            await pool.send(MAIL, sender=SENDER, recipient="ädä@example.org")


def test_a_password_never_crosses_a_network_in_clear_text() -> None:
    with pytest.raises(UsageError, match="clear text") as caught:
        SmtpPool(settings(25, smtp_host="mail.example.org", smtp_username="ada", smtp_password=SecretStr("canary")))
    assert "canary" not in repr(caught.value)


async def test_a_login_on_this_machine_is_allowed_and_a_refused_one_shows_no_password() -> None:
    login: dict[str, Any] = {"smtp_username": "ada", "smtp_password": SecretStr("canary")}
    async with sink(**login) as (sandbox, pool):
        await pool.send(MAIL, sender=SENDER, recipient=ADA)
        assert len(sandbox.accepted) == 1
    refusing: dict[str, str | None] = {"EHLO": "250-script\r\n250 AUTH PLAIN", "AUTH": "535 5.7.8 canary is wrong"}
    async with scripted(refusing, **login) as (_, pool):
        with pytest.raises(Permanent) as caught:
            await pool.send(MAIL, sender=SENDER, recipient=ADA)
        assert str(caught.value) == "smtp connect: 535 5.7.8"
        assert caught.value.__context__ is None


async def test_a_server_without_starttls_is_refused_before_the_password() -> None:
    async with scripted({}, smtp_security="starttls", smtp_username="ada") as (script, pool):
        with pytest.raises(Permanent, match="STARTTLS"):
            await pool.send(MAIL, sender=SENDER, recipient=ADA)
        assert not any(line.startswith("AUTH") for line in script.heard)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate for 127.0.0.1 and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@asynccontextmanager
async def over_tls(folder: Path) -> AsyncIterator[tuple[Script, SmtpPool]]:
    script, context = Script({}), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder))
    server = await asyncio.start_server(script, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server, SmtpPool(settings(port, smtp_security="tls")) as pool:
        yield script, pool


async def test_mail_goes_over_tls_to_a_server_we_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    async with over_tls(tmp_path) as (script, pool):
        await pool.send(MAIL, sender=SENDER, recipient=ADA)
        assert script.content.startswith(b"Subject: hello")


async def test_a_server_with_an_unknown_certificate_gets_nothing(tmp_path: Path) -> None:
    async with over_tls(tmp_path) as (script, pool):
        with pytest.raises(Transient, match="smtp connect"):
            await pool.send(MAIL, sender=SENDER, recipient=ADA)
        assert script.heard == []


async def test_starttls_secures_the_connection_before_login_and_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    got: list[tuple[object, bool, bytes | None]] = []

    class Handler:
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
            got.append((session.auth_data, session.ssl is not None, envelope.original_content))
            return "250 ok"

    def protocol() -> SMTP:
        return SMTP(
            Handler(),
            tls_context=context,
            require_starttls=True,
            auth_require_tls=True,
            authenticator=lambda *call: AuthResult(success=True, auth_data=call[4].login.decode()),
            loop=asyncio.get_running_loop(),
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    login: dict[str, Any] = {"smtp_username": "ada", "smtp_password": SecretStr("secret")}
    async with server, SmtpPool(settings(port, smtp_security="starttls", **login)) as pool:
        for _ in range(2):
            await pool.send(MAIL, sender=SENDER, recipient=ADA)
    assert got == [("ada", True, MAIL)] * 2
