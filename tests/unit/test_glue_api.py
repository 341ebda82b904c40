"""Which Prefect API may carry secrets, and what is said when none answers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_URL,
    PREFECT_CLIENT_CUSTOM_HEADERS,
    temporary_settings,
)

from gda.errors import Unavailable
from gda.glue.api import api_url, reachable, require_closed_api, require_private_api
from gda.loopback import leads_to_loopback

FAR = "http://192.0.2.7:4200/api"


def resolving(*addresses: str) -> Callable[..., object]:
    """A stand-in for the resolver: which addresses a name has is no matter of this machine."""
    return lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]


@asynccontextmanager
async def answering(status: int) -> AsyncIterator[int]:
    """A server that gives every request one status; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "api.localhost", "::ffff:127.0.0.1"])
def test_loopback_is_this_machine(host: str) -> None:
    assert leads_to_loopback(host)


@pytest.mark.parametrize("host", ["192.168.0.4", "0.0.0.0", "::", "fe80::1", "169.254.1.1", "", "a..b"])
def test_any_other_address_is_beyond_this_machine(host: str) -> None:
    assert not leads_to_loopback(host)


@pytest.mark.parametrize(
    ("addresses", "loopback"),
    [(["127.0.0.1"], True), (["10.0.0.1"], False), (["127.0.0.1", "10.0.0.1"], False), ([], False)],
)
def test_a_name_counts_as_loopback_only_when_all_its_addresses_do(
    addresses: list[str], loopback: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving(*addresses))
    assert leads_to_loopback("prefect.internal") is loopback


def test_a_name_that_does_not_resolve_is_beyond_this_machine() -> None:
    assert not leads_to_loopback("prefect.invalid")


def test_an_api_on_this_machine_needs_no_credentials() -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:4200/api"}):
        require_private_api()
        assert api_url() == "http://127.0.0.1:4200/api"


def test_a_server_inside_the_process_needs_none_either() -> None:
    with temporary_settings({PREFECT_API_URL: None}):
        require_private_api()


def test_an_open_api_beyond_this_machine_is_refused_with_what_to_set() -> None:
    with (
        temporary_settings({PREFECT_API_URL: "http://ada:pw@192.0.2.7:4200/api"}),
        pytest.raises(Unavailable, match=r"at http://192\.0\.2\.7:4200/api .*PREFECT_API_AUTH_STRING") as refused,
    ):
        require_private_api()
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    "credentials",
    [
        {PREFECT_API_AUTH_STRING: "gda:secret"},
        {PREFECT_API_KEY: "pnu_secret"},
        {PREFECT_CLIENT_CUSTOM_HEADERS: {"Authorization": "Bearer secret"}},
    ],
)
def test_credentials_of_each_sort_open_the_way(credentials: dict[object, object]) -> None:
    with temporary_settings({PREFECT_API_URL: FAR} | credentials):  # type: ignore[arg-type]
        require_private_api()


async def test_an_api_that_turns_strangers_away_may_have_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gda.glue.api.leads_to_loopback", lambda _: False)
    async with answering(401) as port:
        with temporary_settings(
            {PREFECT_API_URL: f"http://127.0.0.1:{port}/api", PREFECT_API_AUTH_STRING: "gda:secret"}
        ):
            await require_closed_api()


async def test_an_api_that_answers_strangers_gets_no_secrets_even_with_an_auth_string_set_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gda.glue.api.leads_to_loopback", lambda _: False)
    async with answering(200) as port:
        with (
            temporary_settings(
                {PREFECT_API_URL: f"http://127.0.0.1:{port}/api", PREFECT_API_AUTH_STRING: "gda:secret"}
            ),
            pytest.raises(Unavailable, match=r"answers without credentials \(status 200\)"),
        ):
            await require_closed_api()


async def test_a_reachable_api_passes() -> None:
    async with answering(200) as port:
        with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}):
            await reachable()


async def test_an_unreachable_api_is_named_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/api"
        with (
            temporary_settings({PREFECT_API_URL: url}),
            pytest.raises(Unavailable, match=f"at {url} cannot be reached .*start it with `gda up`"),
        ):
            await reachable()


async def test_an_api_that_does_not_answer_in_time_is_unreachable() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with (
            temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{silent.getsockname()[1]}/api"}),
            pytest.raises(Unavailable, match=r"no answer within 0\.2 s"),
        ):
            await reachable(timeout=0.2)


async def test_no_api_set_is_said_so() -> None:
    with temporary_settings({PREFECT_API_URL: None}), pytest.raises(Unavailable, match=r"no Prefect API is set"):
        await reachable()
