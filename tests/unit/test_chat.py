"""What Apprise's lines mean, and that they reach nobody else."""

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest

from gda.errors import InDoubt, Permanent, Transient, UsageError
from gda.notify.chat import meaning, require_address, send

SECRET = "canary-4kQ9z"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Failed to send JSON POST notification: Bad Request, error=400."], Permanent("chat: HTTP 400")),
        (["Failed to send Slack notification: Too many, error=429."], Transient("chat: HTTP 429")),
        (["Failed to send JSON POST notification: error=503."], Transient("chat: HTTP 503")),
        (["Failed to send JSON POST notification: error=502."], InDoubt("chat: HTTP 502")),
        (["A Connection error occurred", "Socket Exception: x NewConnectionError y"], Transient("chat: no connection")),
        (["Socket Exception: HTTPConnectionPool: Read timed out."], InDoubt("chat: no clear answer")),
        ([], InDoubt("chat: no clear answer")),
    ],
)
def test_a_refusal_is_told_from_doubt(lines, expected):
    found = meaning(lines)
    assert (type(found), str(found)) == (type(expected), str(expected))


async def test_a_chat_nobody_listens_at_is_tried_again_and_its_address_is_logged_nowhere(caplog, unused_port):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Transient, match="chat: no connection") as raised:
        await send(f"json://user:{SECRET}@127.0.0.1:{unused_port}/{SECRET}", "Title", f"body {SECRET}", 2)
    assert SECRET not in caplog.text + repr(raised.value) + repr(raised.value.__context__)


async def test_neither_a_handler_at_apprise_itself_nor_the_connections_log_see_an_address(caplog):
    caplog.set_level(logging.DEBUG)
    apprise = logging.getLogger("apprise")
    apprise.addHandler(caplog.handler)
    try:
        async with refusing_server() as port:
            for _ in range(2):
                with pytest.raises(Permanent, match="chat: HTTP 400"):
                    await send(f"json://127.0.0.1:{port}/{SECRET}", "Title", f"body {SECRET}", 2)
    finally:
        apprise.removeHandler(caplog.handler)
    assert SECRET not in caplog.text


def test_the_connections_of_others_are_logged_as_ever(caplog):
    caplog.set_level(logging.DEBUG)
    require_address("json://127.0.0.1/")
    logging.getLogger("urllib3.connectionpool").debug("another's connection")
    assert "another's connection" in caplog.text


@asynccontextmanager
async def refusing_server():
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.mark.parametrize("address", ["", "nonsense", f"nowhere://{SECRET}", f"tgram://{SECRET}"])
def test_an_address_that_cannot_be_one_is_refused_without_being_quoted(address, caplog, capsys):
    with pytest.raises(UsageError, match="none that Apprise knows") as refused:
        require_address(address)
    assert SECRET not in str(refused.value) + caplog.text + "".join(capsys.readouterr())
