"""The Google client against the sandbox: a real server, real bytes, switched-on faults."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import stamina
from pydantic import SecretStr

from gda.errors import Gone, InDoubt, NeedsConsent, Permanent, ProviderError, QuotaExceeded, Transient, UsageError
from gda.google import http as google_http
from gda.google.answers import AccessRefused
from gda.google.gmail import Gmail
from gda.google.http import open_http
from gda.google.messages import RawMessage, Unfetched
from gda.google.oauth import TokenGrant, refresh
from gda.sandbox import Sandbox
from gda.sandbox.accounts import Account
from gda.sandbox.faults import Fault
from gda.settings import Settings
from tests.support.sandbox import plain_mail, running_sandbox

USER = "ada@example.org"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class World:
    """A sandbox with one account, and a client of it."""

    sandbox: Sandbox
    account: Account
    http: httpx.AsyncClient
    settings: Settings

    def gmail(self, access_token: str | None = None, renew: Callable[[], Awaitable[SecretStr]] | None = None) -> Gmail:
        token = access_token or self.sandbox.accounts.issue_access_token(self.account, self.sandbox.now_ms)
        return Gmail(self.http, self.settings, SecretStr(token), renew=renew)

    def receive(self, count: int) -> list[str]:
        mails = (plain_mail(f"mail {number}") for number in range(count))
        return [self.sandbox.add_message(self.account, raw).id for raw in mails]

    def fail(self, fault: Fault) -> None:
        self.sandbox.faults.switch_on(fault)


@asynccontextmanager
async def world(batch_size: int = 50, secret: str = "sandbox-secret", timeout: float = 5) -> AsyncIterator[World]:
    async with running_sandbox() as server:
        settings = Settings(
            google_api_url=server.http,
            google_token_url=f"{server.http}/token",
            google_client_id="gda-sandbox",
            google_client_secret=SecretStr(secret),
            google_batch_size=batch_size,
            google_timeout_seconds=timeout,
        )
        async with open_http(settings) as http:
            yield World(server.sandbox, server.sandbox.open_account(USER), http, settings)


def digest() -> bytes:
    return plain_mail("digest", message_id="d1@gda", X_GDA_Occurrence="occ-1")


@pytest.fixture(autouse=True)
def _no_pauses() -> Iterator[None]:
    """Keep the three tries, drop the pauses between them."""
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


async def fetched(gmail: Gmail, ids: list[str]) -> list[RawMessage | Unfetched]:
    return [each async for each in gmail.get_raw(ids)]


async def test_a_refresh_token_becomes_an_access_token() -> None:
    async with world() as here:
        grant = await refresh(here.http, here.settings, SecretStr(here.account.refresh_token), now=NOW)
        assert grant.expires_at == NOW + timedelta(hours=1)
        assert grant.refresh_token is None
        assert "gmail.readonly" in grant.scope
        profile = await here.gmail(grant.access_token.get_secret_value()).profile()
        assert profile.email_address == USER
        assert grant.access_token.get_secret_value() not in repr(grant)


async def test_a_revoked_refresh_token_needs_consent_at_once() -> None:
    async with world() as here:
        here.sandbox.set_revoked(here.account, True)
        with pytest.raises(NeedsConsent, match="invalid_grant"):
            await refresh(here.http, here.settings, SecretStr(here.account.refresh_token), now=NOW)
        assert here.sandbox.requests["token"] == 1


async def test_a_wrong_client_is_the_operators_error() -> None:
    async with world(secret="wrong") as here:
        with pytest.raises(Permanent, match="invalid_client"):
            await refresh(here.http, here.settings, SecretStr(here.account.refresh_token), now=NOW)


@pytest.mark.parametrize("kind", ["server_error", "malformed", "rate_limit"])
async def test_a_token_end_point_that_recovers_is_asked_again(kind: str) -> None:
    async with world() as here:
        here.fail(Fault(kind, endpoint="token", times=2))  # type: ignore[arg-type]
        grant = await refresh(here.http, here.settings, SecretStr(here.account.refresh_token), now=datetime.now(UTC))
        assert isinstance(grant, TokenGrant)
        assert here.sandbox.requests["token"] == 3


async def test_a_listing_spans_pages_and_keeps_its_order() -> None:
    async with world() as here:
        ids = here.receive(1203)
        listed = await here.gmail().list_ids("in:inbox")
        assert [ref.id for ref in listed] == ids[::-1]
        assert here.sandbox.requests["messages.list"] == 3


async def test_a_limited_listing_asks_for_no_more() -> None:
    async with world() as here:
        ids = here.receive(30)
        assert [ref.id for ref in await here.gmail().list_ids("in:inbox", limit=7)] == ids[:-8:-1]
        assert here.sandbox.requests["messages.list"] == 1


async def test_whole_messages_come_in_batches_in_order_each_once() -> None:
    async with world(batch_size=10) as here:
        ids = here.receive(25)
        got = await fetched(here.gmail(), [*ids, ids[0]])
        assert [each.id for each in got] == ids
        assert [each.raw for each in got if isinstance(each, RawMessage)] == [
            plain_mail(f"mail {n}") for n in range(25)
        ]
        assert here.sandbox.requests["batch"] == 3


async def test_a_single_message_needs_no_batch() -> None:
    async with world() as here:
        (only,) = await fetched(here.gmail(), here.receive(1))
        assert isinstance(only, RawMessage)
        assert here.sandbox.requests["batch"] == 0


@pytest.mark.parametrize("others", [0, 3])
async def test_a_deleted_message_is_reported_and_the_others_arrive(others: int) -> None:
    async with world() as here:
        *rest, last = await fetched(here.gmail(), [*here.receive(others), "feedfacefeedface"])
        assert all(isinstance(each, RawMessage) for each in rest)
        assert isinstance(last, Unfetched)
        assert isinstance(last.error, Gone)


@pytest.mark.parametrize("kind", ["server_error", "rate_limit", "malformed"])
async def test_only_the_failed_parts_of_a_batch_are_asked_for_again(kind: str) -> None:
    async with world() as here:
        ids = here.receive(10)
        here.fail(Fault(kind, endpoint="messages.get", times=3))  # type: ignore[arg-type]
        got = await fetched(here.gmail(), ids)
        assert all(isinstance(each, RawMessage) for each in got)
        assert here.sandbox.requests["messages.get"] == 13


async def test_parts_that_keep_failing_are_reported_after_three_tries() -> None:
    async with world() as here:
        ids = here.receive(4)
        here.fail(Fault("server_error", endpoint="messages.get"))
        got = await fetched(here.gmail(), ids)
        assert all(isinstance(each, Unfetched) and type(each.error) is Transient for each in got)
        assert here.sandbox.requests["batch"] == 3


@pytest.mark.parametrize("kind", ["server_error", "malformed", "rate_limit"])
async def test_a_batch_that_fails_as_a_whole_raises_after_three_tries(kind: str) -> None:
    async with world() as here:
        ids = here.receive(4)
        here.fail(Fault(kind, endpoint="batch"))  # type: ignore[arg-type]
        with pytest.raises(Transient, match=r"gmail messages\.get \(batch\)"):
            await fetched(here.gmail(), ids)
        assert here.sandbox.requests["batch"] == 3


async def test_a_wait_that_does_not_fit_is_left_to_the_ledger() -> None:
    async with world() as here:
        here.fail(Fault("rate_limit", endpoint="messages.list", retry_after=900))
        with pytest.raises(QuotaExceeded) as caught:
            await here.gmail().list_ids("in:inbox")
        assert caught.value.retry_after is not None
        assert timedelta(seconds=890) < caught.value.retry_after <= timedelta(seconds=902)
        assert here.sandbox.requests["messages.list"] == 1


async def test_an_expired_access_token_is_renewed_once_for_all_calls() -> None:
    async with world() as here:
        ids, renewals = here.receive(3), list[str]()

        async def renew() -> SecretStr:
            renewals.append("renewed")
            return SecretStr(here.sandbox.accounts.issue_access_token(here.account, here.sandbox.now_ms))

        gmail = here.gmail("expired", renew)
        got, listed, one = await asyncio.gather(
            fetched(gmail, ids), gmail.list_ids("in:inbox"), fetched(gmail, ids[:1])
        )
        assert all(isinstance(each, RawMessage) for each in [*got, *one])
        assert len(listed) == 3
        assert renewals == ["renewed"]


async def test_a_token_refused_even_when_fresh_needs_consent() -> None:
    async with world() as here:

        async def renew() -> SecretStr:
            return SecretStr("refused-as-well")

        for gmail in (here.gmail("refused", renew), here.gmail("refused")):
            with pytest.raises(NeedsConsent) as caught:
                await gmail.profile()
            assert type(caught.value) is AccessRefused
        assert here.sandbox.requests["profile"] == 3


async def test_a_sent_message_arrives_and_is_found_by_its_message_id() -> None:
    async with world() as here:
        sent = await here.gmail().send(digest())
        assert await here.gmail().find_sent("<d1@gda>", "occ-1", datetime.now(UTC)) == sent
        assert here.sandbox.requests["messages.get"] == 0


async def test_a_sent_message_whose_id_was_rewritten_is_found_by_our_header() -> None:
    async with world(batch_size=10) as here:
        here.receive(5)
        here.fail(Fault("rewrite_message_id"))
        sent = await here.gmail().send(digest())
        here.receive(15)
        assert await here.gmail().find_sent("<d1@gda>", "occ-1", datetime.now(UTC)) == sent


async def test_mail_that_was_never_sent_is_not_found() -> None:
    async with world() as here:
        here.receive(3)
        await here.gmail().send(digest())
        assert await here.gmail().find_sent("d2@gda", "occ-2", datetime.now(UTC)) is None


async def test_a_search_that_cannot_see_every_mail_proves_nothing() -> None:
    async with world() as here:
        here.receive(3)
        here.fail(Fault("server_error", endpoint="messages.get"))
        with pytest.raises(Transient):
            await here.gmail().find_sent("d2@gda", "occ-2", datetime.now(UTC))


async def test_a_send_that_ends_in_a_server_error_is_in_doubt_and_never_repeated() -> None:
    async with world() as here:
        here.fail(Fault("server_error", endpoint="messages.send", after=True))
        with pytest.raises(InDoubt):
            await here.gmail().send(digest())
        assert here.sandbox.requests["messages.send"] == 1
        here.sandbox.faults.clear()
        assert await here.gmail().find_sent("d1@gda", "occ-1", datetime.now(UTC)) is not None


async def test_a_send_without_an_answer_in_time_is_in_doubt() -> None:
    async with world(timeout=0.2) as here:
        here.fail(Fault("slow", endpoint="messages.send", seconds=1))
        with pytest.raises(InDoubt):
            await here.gmail().send(plain_mail("digest"))


async def test_a_send_whose_answer_is_malformed_is_in_doubt() -> None:
    async with world() as here:
        here.fail(Fault("malformed", endpoint="messages.send"))
        with pytest.raises(InDoubt):
            await here.gmail().send(plain_mail("digest"))


async def test_a_send_that_is_refused_or_never_left_is_not_in_doubt() -> None:
    async with world() as here:
        here.fail(Fault("rate_limit", endpoint="messages.send"))
        with pytest.raises(QuotaExceeded):
            await here.gmail().send(plain_mail("digest"))
        nowhere = here.settings.model_copy(update={"google_api_url": "http://127.0.0.1:9"})
        with pytest.raises(Transient, match="ConnectError"):
            await Gmail(here.http, nowhere, SecretStr("x")).send(plain_mail("digest"))


async def test_history_lists_what_was_added_since() -> None:
    async with world() as here:
        here.receive(2)
        start = (await here.gmail().profile()).history_id
        ids = here.receive(3)
        history = await here.gmail().history(start)
        assert [ref.id for ref in history.added] == ids
        assert (await here.gmail().history(history.history_id)).added == ()


async def test_some_headers_of_some_messages() -> None:
    async with world() as here:
        ids = here.receive(2)
        headers = await here.gmail().get_headers([*ids, "feedfacefeedface"], ["subject", "X-Other"])
        assert headers == {ids[0]: {"subject": "mail 0"}, ids[1]: {"subject": "mail 1"}}


async def test_an_answer_that_is_too_large_is_fetched_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as here:
        ids = here.receive(8)
        huge = here.sandbox.add_message(here.account, plain_mail("huge") + b"x" * 20_000).id
        monkeypatch.setattr(google_http, "LARGEST_BODY", 4_000)
        got = await fetched(here.gmail(), [*ids, huge])
        assert all(isinstance(each, RawMessage) for each in got[:-1])
        last = got[-1]
        assert isinstance(last, Unfetched)
        assert isinstance(last.error, Permanent)


async def test_bytes_that_drip_are_not_waited_for_for_ever() -> None:
    async with world(timeout=0.3) as here:
        here.receive(50)
        here.fail(Fault("slow", endpoint="messages.list", seconds=0, bytes_per_second=100))
        with pytest.raises(Transient, match="in time"):
            await here.gmail().list_ids("in:inbox")


async def test_no_server_is_a_passing_fault() -> None:
    settings = Settings(google_api_url="http://127.0.0.1:9", google_token_url="http://127.0.0.1:9/token")
    async with open_http(settings) as http:
        with pytest.raises(Transient, match="ConnectError"):
            await Gmail(http, settings, SecretStr("x")).list_ids("in:inbox")


@pytest.mark.parametrize("url", ["http://gmail.example.com", "ftp://127.0.0.1", "gmail.googleapis.com", "https://"])
async def test_an_end_point_that_would_show_tokens_to_a_network_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="clear text"):
        async with open_http(Settings(google_api_url=url)):
            pass


async def test_one_users_cookies_never_reach_another() -> None:
    async with open_http(Settings()) as http:
        request = http.build_request("GET", "https://gmail.googleapis.com")
        http.cookies.extract_cookies(httpx.Response(200, headers={"Set-Cookie": "session=one-user"}, request=request))
        assert not http.cookies


CANARY = "ya29.canary-4711"
TOKENS = [CANARY, f"{CANARY}\r\nX: y", f"{CANARY}\u00e4", ""]


@pytest.mark.parametrize("kind", ["refused", "server_error", "malformed", "rate_limit", "slow", "nowhere"])
async def test_no_token_appears_in_any_error(kind: str) -> None:
    async with world(timeout=0.1) as here:
        here.account.access = dict.fromkeys(TOKENS, here.sandbox.now_ms + 1_000_000)
        settings = here.settings
        if kind == "nowhere":
            settings = settings.model_copy(update={"google_api_url": "http://127.0.0.1:9"})
        elif kind != "refused":
            here.sandbox.accounts._by_access.update(dict.fromkeys(TOKENS, here.account))
            here.fail(Fault(kind, seconds=0.3, retry_after=900))  # type: ignore[arg-type]
        for token in TOKENS:
            gmail = Gmail(here.http, settings, SecretStr(token))
            for call in (gmail.list_ids("subject:canary-4711"), fetched(gmail, ["m1", "m2"]), gmail.send(b"canary")):
                with pytest.raises((ProviderError, InDoubt)) as caught:
                    await call
                assert "canary" not in everything_of(caught.value)


async def test_no_refresh_token_appears_in_any_error() -> None:
    async with world() as here:
        for kind in ("malformed", "server_error", "rate_limit"):
            here.sandbox.faults.clear()
            here.fail(Fault(kind, endpoint="token"))
            with pytest.raises(Transient) as caught:
                await refresh(here.http, here.settings, SecretStr(here.account.refresh_token), now=NOW)
            assert here.account.refresh_token not in everything_of(caught.value)
            assert "ya29" not in everything_of(caught.value)


def everything_of(error: BaseException | None) -> str:
    """Text, arguments and chain of an error, suppressed links included."""
    texts = []
    while error is not None:
        texts += [
            str(error),
            repr(error),
            repr(error.args),
            repr(vars(error)),
            "".join(traceback.format_exception(error)),
        ]
        error = error.__cause__ or error.__context__
    return "\n".join(texts)
