"""Consent as pure steps: PKCE, the address, what the browser may bring back, and what a grant must cover."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
import pytest

from gda.errors import NeedsConsent, UsageError
from gda.google.consent import READ_CALENDARS, READ_MAIL, Question, address_of, challenge_of, check_scopes, code_from
from gda.jobs.token_refresh import AHEAD, RefreshDue, lost_access, needless
from gda.sandbox import Sandbox
from gda.sandbox.faults import Fault
from gda.sandbox.respond import answer_refresh, answer_sign_in
from gda.sandbox.wire import Call, Reply
from gda.settings import Settings
from gda.store import Credential
from tests.builders import MORNING

NOW = 1_790_000_000.0
BACK = "http://127.0.0.1:8123/"
ADA = "ada@example.org"
SETTINGS = Settings(google_client_id="gda-sandbox", google_auth_url="http://127.0.0.1:1/o/oauth2/v2/auth")


def a_sandbox() -> Sandbox:
    sandbox = Sandbox(clock=lambda: NOW)
    sandbox.open_account(ADA)
    return sandbox


def asked(sandbox: Sandbox, question: Question, **changes: str) -> tuple[Reply, dict[str, str]]:
    """What the browser gets for the question, and the query of where it is sent back to."""
    query = dict(parse_qsl(urlsplit(address_of(question, SETTINGS, ADA)).query)) | changes
    call = Call("GET", "/o/oauth2/v2/auth", urlencode(query), "", b"", sandbox.now_ms)
    reply = answer_sign_in(sandbox, call)
    return reply, dict(parse_qsl(urlsplit(dict(reply.headers).get(b"location", b"").decode()).query))


def exchanged(sandbox: Sandbox, question: Question, given: str, **changes: str) -> tuple[int, dict[str, str]]:
    form = {
        "client_id": "gda-sandbox",
        "client_secret": "sandbox-secret",
        "grant_type": "authorization_code",
        "code": given,
        "code_verifier": question.verifier,
        "redirect_uri": question.redirect_uri,
    }
    body = urlencode(form | changes).encode()
    reply = answer_refresh(sandbox, Call("POST", "/token", "", "", body, sandbox.now_ms))
    return reply.status, orjson.loads(reply.body)


def test_the_challenge_is_that_of_the_standards_example() -> None:
    # RFC 7636, appendix B.
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_each_question_has_a_verifier_and_a_state_of_its_own_of_the_allowed_length() -> None:
    first, second = Question(BACK), Question(BACK)
    assert first.verifier != second.verifier
    assert first.state != second.state
    assert 43 <= len(first.verifier) <= 128
    assert first.verifier not in repr(first)
    assert first.state not in repr(first)


def test_the_address_asks_for_offline_access_and_carries_the_challenge_but_not_the_verifier() -> None:
    question = Question(BACK)
    address = address_of(question, SETTINGS, ADA)
    query = dict(parse_qsl(urlsplit(address).query))
    assert query["code_challenge"] == question.challenge
    assert query["scope"].split() == [READ_MAIL, READ_CALENDARS]
    assert {name: query[name] for name in ("code_challenge_method", "access_type", "prompt", "redirect_uri")} == {
        "code_challenge_method": "S256",
        "access_type": "offline",
        "prompt": "consent",
        "redirect_uri": BACK,
    }
    assert question.verifier not in address


def test_an_answer_to_another_question_is_not_heard() -> None:
    question = Question(BACK)
    assert code_from(question, {"state": question.state, "code": "4/x"}) == "4/x"
    assert code_from(question, {"state": "other", "code": "4/x"}) is None
    assert code_from(question, {"code": "4/x"}) is None
    assert code_from(question, {"state": "other", "error": "access_denied"}) is None


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("access_denied", "refused in the browser"),
        ("org_internal", "Google answered org_internal"),
        ("<b>ya29.token</b>", "an unreadable error"),
    ],
)
def test_a_refusal_says_what_to_do_and_quotes_nothing_but_a_code(error: str, said: str) -> None:
    question = Question(BACK)
    with pytest.raises(NeedsConsent, match=said) as caught:
        code_from(question, {"state": question.state, "error": error})
    assert "ya29" not in str(caught.value)
    assert "gda connect" in str(caught.value)


def test_a_grant_must_cover_mail_and_says_what_else_it_lacks() -> None:
    assert check_scopes(f"{READ_CALENDARS} {READ_MAIL}") == ()
    assert check_scopes(READ_MAIL) == ("reading calendars",)
    with pytest.raises(UsageError, match="reading mail"):
        check_scopes(READ_CALENDARS)


def test_the_sandbox_gives_tokens_for_a_code_once_and_only_for_its_own_verifier() -> None:
    sandbox, question = a_sandbox(), Question(BACK)
    reply, answer = asked(sandbox, question)
    assert (reply.status, answer["state"]) == (302, question.state)
    status, tokens = exchanged(sandbox, question, answer["code"])
    assert (status, tokens["scope"].split()) == (200, [READ_MAIL, READ_CALENDARS])
    assert sandbox.accounts.by_refresh_token(tokens["refresh_token"]) is sandbox.accounts.by_email(ADA)
    assert exchanged(sandbox, question, answer["code"])[1]["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes", [{"code_verifier": "x" * 43}, {"redirect_uri": "http://127.0.0.1:9/"}, {"code": "4/other"}]
)
def test_the_sandbox_refuses_a_code_that_does_not_fit(changes: dict[str, str]) -> None:
    sandbox, question = a_sandbox(), Question(BACK)
    _, answer = asked(sandbox, question)
    assert exchanged(sandbox, question, answer["code"], **changes) == (
        400,
        {"error": "invalid_grant", "error_description": "Malformed auth code."},
    )


def test_the_sandbox_denies_where_the_fault_says_so_and_revoked_consent_comes_back_otherwise() -> None:
    sandbox, question = a_sandbox(), Question(BACK)
    account = sandbox.accounts.by_email(ADA)
    assert account is not None
    sandbox.set_revoked(account, True)
    sandbox.faults.switch_on(Fault("access_denied", user=ADA, times=1))
    assert asked(sandbox, question)[1] == {"error": "access_denied", "state": question.state}
    assert account.revoked
    assert "code" in asked(sandbox, question)[1]
    assert not account.revoked


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"client_id": "other"}, 400, "invalid_client"),
        ({"redirect_uri": "http://example.org/"}, 400, "redirect_uri_mismatch"),
        ({"response_type": "token"}, 400, "invalid_request"),
        ({"login_hint": "nobody@example.org"}, 200, f"login_hint=ada%40example.org&quot;>{ADA}"),
    ],
)
def test_the_sandbox_shows_a_page_where_it_cannot_go_on(changes: dict[str, str], status: int, text: str) -> None:
    reply, back = asked(a_sandbox(), Question(BACK), **changes)
    assert (reply.status, back) == (status, {})
    assert text.replace("&quot;", '"') in reply.body.decode()


def test_only_what_expires_soon_needs_a_refresh() -> None:
    credential = Credential("ada", "google", "r", "a", MORNING + AHEAD, "active")
    assert needless(credential, MORNING) == ""
    assert needless(replace(credential, expires_at=None), MORNING) == ""
    assert "earlier" in needless(replace(credential, expires_at=MORNING + AHEAD + timedelta(seconds=1)), MORNING)
    assert "consent" in needless(replace(credential, status="needs-consent"), MORNING)


def test_each_loss_of_access_is_told_under_a_cause_of_its_own() -> None:
    first, second = (lost_access(RefreshDue(user="ada", cause="consent:google", since=n)) for n in (1, 2))
    assert first.cause != second.cause
    assert "gda connect ada" in first.body
