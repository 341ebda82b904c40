"""Faults strike where, whom and as often as they were told; accounts, tokens and the journal keep their promises."""

from pathlib import Path

import orjson
import pytest

from gda.errors import UsageError
from gda.sandbox.faults import Fault, Switchboard, fault_from
from gda.sandbox.respond import answer_call, answer_refresh
from gda.sandbox.state import Sandbox
from gda.sandbox.wire import Call, Reply
from tests.support.sandbox import plain_mail

NOW = 1_790_000_000.0
NOW_MS = int(NOW * 1000)


def a_sandbox(data: Path | None = None) -> Sandbox:
    sandbox = Sandbox(clock=lambda: NOW, data=data)
    sandbox.open_account("ada@example.org")
    sandbox.open_account("bruno@example.org")
    return sandbox


def list_messages(sandbox: Sandbox, email: str = "ada@example.org", query: str = "") -> Reply:
    account = sandbox.accounts.by_email(email)
    assert account is not None
    token = sandbox.accounts.issue_access_token(account, sandbox.now_ms)
    return answer_call(sandbox, Call("GET", "/gmail/v1/users/me/messages", query, token, b"", sandbox.now_ms))


def test_a_fault_stops_after_its_times() -> None:
    board = Switchboard()
    board.switch_on(Fault("malformed", times=2))

    struck = [board.take("malformed", "messages.list") is not None for _ in range(4)]

    assert struck == [True, True, False, False]
    assert board.listing()[0]["fired"] == 2
    assert board.listing()[0]["left"] == 0


def test_a_fault_keeps_to_its_user_and_end_point() -> None:
    board = Switchboard()
    board.switch_on(Fault("slow", user="ada@example.org", endpoint="messages.get"))

    assert board.take("slow", "messages.get", "ada@example.org")
    assert not board.take("slow", "messages.get", "bruno@example.org")
    assert not board.take("slow", "messages.list", "ada@example.org")


def test_chance_follows_from_the_seed() -> None:
    def draws(seed: int) -> list[bool]:
        board = Switchboard()
        board.switch_on(Fault("slow", probability=0.3, seed=seed))
        return [board.take("slow", "profile") is not None for _ in range(200)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)
    assert 30 < sum(draws(1)) < 90


def test_faults_are_cleared_by_number_kind_or_all() -> None:
    board = Switchboard()
    first = board.switch_on(Fault("slow"))
    board.switch_on(Fault("malformed"))
    board.switch_on(Fault("malformed"))
    board.clear(first)
    assert [fault["kind"] for fault in board.listing()] == ["malformed", "malformed"]
    board.clear("malformed")
    assert not board


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "earthquake"}, "earthquake"),
        ({"kind": "slow", "endpoint": "messages.nod"}, "messages.nod"),
        ({"kind": "slow", "colour": 1}, "colour"),
        ({"kind": "slow", "seconds": "2"}, "seconds"),
        ({"kind": "slow", "times": True}, "times"),
        ({"kind": "server_error", "status": 200}, "200"),
        ({"kind": "slow", "probability": 1.5}, "1.5"),
    ],
)
def test_a_wrong_fault_is_refused_by_name(values: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        fault_from(values)


def test_a_rate_limit_tells_when_to_come_back() -> None:
    sandbox = a_sandbox()
    sandbox.faults.switch_on(Fault("rate_limit", user="ada@example.org", retry_after=90))

    reply = list_messages(sandbox)

    assert reply.status == 429
    assert dict(reply.headers)[b"retry-after"] == b"90"
    error = orjson.loads(reply.body)["error"]
    assert error["message"] == "User-rate limit exceeded.  Retry after 2026-09-21T14:14:50.000Z"
    assert error["errors"][0]["reason"] == "rateLimitExceeded"
    assert list_messages(sandbox, "bruno@example.org").status == 200


def test_a_malformed_answer_is_no_json() -> None:
    sandbox = a_sandbox()
    sandbox.faults.switch_on(Fault("malformed"))

    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(list_messages(sandbox).body)


def test_a_server_error_comes_before_the_deed_or_after_it() -> None:
    sandbox = a_sandbox()
    account = sandbox.accounts.all()[0]
    token = sandbox.accounts.issue_access_token(account, NOW_MS)
    body = orjson.dumps({"raw": "VG86IGJydW5vQGV4YW1wbGUub3JnCgpIaQ"})
    call = Call("POST", "/gmail/v1/users/me/messages/send", "", token, body, NOW_MS)
    sandbox.faults.switch_on(Fault("server_error", status=502, times=1))
    sandbox.faults.switch_on(Fault("server_error", status=500, times=1, after=True))

    assert [answer_call(sandbox, call).status for _ in range(2)] == [502, 500]
    assert len(sandbox.accepted) == 1


def test_fresh_mail_stays_out_of_searches_for_the_index_delay() -> None:
    sandbox = a_sandbox()
    account = sandbox.accounts.all()[0]
    sandbox.add_message(account, plain_mail("old", message_id="old@x"), time_ms=NOW_MS - 60_000)
    sandbox.add_message(account, plain_mail("fresh", message_id="fresh@x"), time_ms=NOW_MS - 5_000)
    sandbox.faults.switch_on(Fault("index_delay", seconds=30))

    assert len(orjson.loads(list_messages(sandbox).body)["messages"]) == 1
    assert "messages" not in orjson.loads(list_messages(sandbox, query="q=rfc822msgid:fresh@x").body)
    assert "messages" in orjson.loads(list_messages(sandbox, query="q=rfc822msgid:old@x").body)


def refresh(sandbox: Sandbox, token: str, secret: str = "sandbox-secret") -> tuple[int, dict[str, object]]:
    body = f"client_id=gda-sandbox&client_secret={secret}&grant_type=refresh_token&refresh_token={token}"
    reply = answer_refresh(sandbox, Call("POST", "/token", "", "", body.encode(), sandbox.now_ms))
    return reply.status, orjson.loads(reply.body)


def test_revoked_consent_stops_every_token_until_it_is_given_again() -> None:
    sandbox = a_sandbox()
    account = sandbox.accounts.all()[0]
    _, answer = refresh(sandbox, account.refresh_token)
    assert sandbox.accounts.by_access_token(str(answer["access_token"]), NOW_MS) is account

    sandbox.set_revoked(account, True)

    assert sandbox.accounts.by_access_token(str(answer["access_token"]), NOW_MS) is None
    assert refresh(sandbox, account.refresh_token)[1]["error"] == "invalid_grant"
    sandbox.set_revoked(account, False)
    assert refresh(sandbox, account.refresh_token)[0] == 200
    assert sandbox.accounts.issue_access_token(account, NOW_MS + 7_200_000)
    assert len(account.access) == 1


def test_a_wrong_client_and_a_wrong_token_are_told_apart() -> None:
    sandbox = a_sandbox()

    assert refresh(sandbox, "unknown")[0] == 400
    status, answer = refresh(sandbox, sandbox.accounts.all()[0].refresh_token, secret="wrong")
    assert (status, answer["error"]) == (401, "invalid_client")


def test_an_access_token_ends_at_its_expiry() -> None:
    sandbox = a_sandbox()
    account = sandbox.accounts.all()[0]
    token = sandbox.accounts.issue_access_token(account, NOW_MS, seconds=60)

    assert sandbox.accounts.by_access_token(token, NOW_MS + 59_999) is account
    assert sandbox.accounts.by_access_token(token, NOW_MS + 60_000) is None


def test_a_data_folder_carries_everything_over_a_restart(tmp_path: Path) -> None:
    first = a_sandbox(tmp_path)
    ada, bruno = first.accounts.all()
    first.add_message(ada, plain_mail("from outside"))
    mail = plain_mail("digest", message_id="d1@x", X_GDA_Occurrence="digest/7")
    first.faults.switch_on(Fault("rewrite_message_id"))
    first.accept(mail, sender="gda@x.invalid", recipients=["ada@example.org"], channel="smtp")
    first.accept(mail, sender=ada.email, recipients=["bruno@example.org"], channel="gmail", sent_by=ada)
    first.set_revoked(bruno, True)
    first.close()
    with (tmp_path / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"event":"acc')

    second = a_sandbox(tmp_path)
    again_ada, again_bruno = second.accounts.all()

    assert (again_ada.refresh_token, again_bruno.refresh_token) == (ada.refresh_token, bruno.refresh_token)
    assert again_bruno.revoked
    assert [each.id for each in again_ada.mailbox.newest_first()] == [each.id for each in ada.mailbox.newest_first()]
    assert len(again_ada.mailbox) == 3
    assert len(again_bruno.mailbox) == 1
    before, after = first.accepted.find(), second.accepted.find()
    assert [each.as_json() for each in before] == [each.as_json() for each in after]
    assert second.accepted.duplicates() == {"digest/7": 2}
    second.close()
    third = a_sandbox(tmp_path)
    assert len(third.accepted) == 2
    third.close()
