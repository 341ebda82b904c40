"""The sandbox over real sockets: what a Gmail client, a mail client and a browser see."""

import asyncio
import signal
import sys
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx
import orjson
import pytest

from gda.errors import Unavailable, UsageError
from gda.sandbox.faults import Fault
from tests.support.sandbox import RunningSandbox, encoded, plain_mail, running_sandbox, spawned_sandbox

ADA = "ada@example.org"
BRUNO = "bruno@example.org"
GMAIL = "/gmail/v1/users/me"
DIGEST_ID = "occurrence.7@gda.invalid"


@asynccontextmanager
async def sandbox_and_client(**options: Any) -> AsyncIterator[tuple[RunningSandbox, httpx.AsyncClient]]:
    options.setdefault("accounts", [(ADA, None), (BRUNO, None)])
    async with (
        running_sandbox(**options) as sandbox,
        httpx.AsyncClient(base_url=sandbox.http, headers=sandbox.bearer(ADA), trust_env=False) as client,
    ):
        yield sandbox, client


def fill(sandbox: RunningSandbox, count: int) -> None:
    account = sandbox.sandbox.accounts.by_email(ADA)
    assert account is not None
    for index in range(count):
        sandbox.sandbox.add_message(account, plain_mail(f"number {index}", message_id=f"{index}@x"))


async def send_mail(sandbox: RunningSandbox, *recipients: str, **headers: str) -> None:
    mail = plain_mail("Your digest", message_id=DIGEST_ID, X_GDA_Occurrence="digest/7", **headers)
    await aiosmtplib.send(
        mail,
        sender="gda@gda.invalid",
        recipients=list(recipients),
        hostname="127.0.0.1",
        port=sandbox.smtp_port,
        start_tls=False,
    )


async def search(client: httpx.AsyncClient, query: str) -> list[str]:
    response = await client.get(f"{GMAIL}/messages", params={"q": query})
    return [message["id"] for message in response.raise_for_status().json().get("messages", [])]


def batch_of(paths: list[str]) -> tuple[bytes, dict[str, str]]:
    parts = [
        f"--cut\r\nContent-Type: application/http\r\nContent-ID: <call-{number}>\r\n\r\nGET {path} HTTP/1.1\r\n\r\n\r\n"
        for number, path in enumerate(paths)
    ]
    return "".join([*parts, "--cut--\r\n"]).encode(), {"content-type": 'multipart/mixed; boundary="cut"'}


def batch_answers(response: httpx.Response) -> list[tuple[str, int, Any]]:
    boundary = response.headers["content-type"].partition("boundary=")[2]
    answers = []
    for part in response.content.split(b"--" + boundary.encode())[1:-1]:
        head, inner, body = part.split(b"\r\n\r\n", 2)
        name = head.partition(b"Content-ID: ")[2].partition(b"\r\n")[0].decode()
        answers.append((name, int(inner.split(b" ", 2)[1]), orjson.loads(body)))
    return answers


async def test_a_refresh_token_becomes_an_access_token_that_opens_the_mailbox() -> None:
    async with sandbox_and_client() as (_, client):
        opened = (await client.post("/_sandbox/accounts", json={"accounts": [{"email": ADA}]})).json()["accounts"][0]
        form = {
            "client_id": "gda-sandbox",
            "client_secret": "sandbox-secret",
            "grant_type": "refresh_token",
            "refresh_token": opened["refresh_token"],
        }
        answer = (await client.post("/token", data=form)).json()
        assert answer["expires_in"] == 3600
        assert answer["token_type"] == "Bearer"

        bearer = {"authorization": f"Bearer {answer['access_token']}"}
        profile = await client.get(f"{GMAIL}/profile", headers=bearer)
        assert profile.json()["emailAddress"] == ADA

        await client.post("/_sandbox/revoke", json={"email": ADA})
        refused = await client.get(f"{GMAIL}/profile", headers=bearer)
        assert refused.status_code == 401
        assert refused.json()["error"]["errors"][0]["reason"] == "authError"
        assert (await client.post("/token", data=form)).json()["error"] == "invalid_grant"


async def test_pages_are_followed_to_the_end() -> None:
    async with sandbox_and_client() as (sandbox, client):
        fill(sandbox, 7)
        ids: list[str] = []
        params: dict[str, str] = {"maxResults": "3"}
        while True:
            page = (await client.get(f"{GMAIL}/messages", params=params)).json()
            ids += [message["id"] for message in page["messages"]]
            if "nextPageToken" not in page:
                break
            params["pageToken"] = page["nextPageToken"]

        assert len(set(ids)) == len(ids) == 7


async def test_a_message_is_given_in_every_format() -> None:
    async with sandbox_and_client() as (_, client):
        raw = plain_mail("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", message_id="1@x", body="Grüße & Küsse")
        added = await client.post("/_sandbox/messages", json={"email": ADA, "raw": encoded(raw)})
        path = f"{GMAIL}/messages/{added.json()['messages'][0]['id']}"

        whole = (await client.get(path, params={"format": "raw"})).json()
        assert urlsafe_b64decode(whole["raw"]) == raw
        assert whole["labelIds"] == ["INBOX", "UNREAD"]
        assert whole["internalDate"].isdigit()
        assert whole["snippet"] == "Grüße &amp; Küsse"
        some = (await client.get(path, params={"format": "metadata", "metadataHeaders": ["subject"]})).json()
        assert some["payload"]["headers"] == [{"name": "Subject", "value": "Grüße"}]
        full = (await client.get(path)).json()["payload"]
        assert urlsafe_b64decode(full["body"]["data"]).decode() == "Grüße & Küsse\r\n"
        assert "payload" not in (await client.get(path, params={"format": "minimal"})).json()
        assert (await client.get(path, params={"format": "odd"})).status_code == 400


async def test_an_attachment_is_fetched_by_its_id() -> None:
    raw = (
        b'From: a@example.org\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nSee it.\r\n'
        b'--b\r\nContent-Type: text/csv; name="f.csv"\r\nContent-Transfer-Encoding: base64\r\n\r\nMSwy\r\n--b--\r\n'
    )
    async with sandbox_and_client() as (_, client):
        added = await client.post("/_sandbox/messages", json={"email": ADA, "raw": encoded(raw)})
        path = f"{GMAIL}/messages/{added.json()['messages'][0]['id']}"
        parts = (await client.get(path)).json()["payload"]["parts"]
        assert [part["filename"] for part in parts] == ["", "f.csv"]
        attachment = await client.get(f"{path}/attachments/{parts[1]['body']['attachmentId']}")
        assert urlsafe_b64decode(attachment.json()["data"]) == b"1,2"
        assert (await client.get(f"{path}/attachments/part-9")).status_code == 404


async def test_the_parts_of_a_batch_succeed_and_fail_by_themselves() -> None:
    async with sandbox_and_client() as (sandbox, client):
        fill(sandbox, 3)
        ids = await search(client, "in:inbox")
        paths = [f"{GMAIL}/messages/{each}?format=raw" for each in (*ids[:2], "0000000000000000", ids[2])]
        body, headers = batch_of([*paths, "/elsewhere"])

        answers = batch_answers(await client.post("/batch/gmail/v1", content=body, headers=headers))

        assert [name for name, _, _ in answers] == [f"<response-call-{number}>" for number in range(5)]
        assert [status for _, status, _ in answers] == [200, 200, 404, 200, 404]
        assert [answer["id"] for _, status, answer in answers if status == 200] == ids


async def test_a_batch_holds_at_most_a_hundred_calls() -> None:
    async with sandbox_and_client() as (_, client):
        for count, status in ((100, 200), (101, 400)):
            body, headers = batch_of([f"{GMAIL}/profile"] * count)
            assert (await client.post("/batch/gmail/v1", content=body, headers=headers)).status_code == status
        assert (await client.post("/batch/gmail/v1", content=b"x")).status_code == 400


async def test_a_batch_without_a_token_is_refused_part_by_part() -> None:
    async with sandbox_and_client() as (sandbox, _), httpx.AsyncClient(base_url=sandbox.http, trust_env=False) as bare:
        body, headers = batch_of([f"{GMAIL}/profile"])
        answers = batch_answers(await bare.post("/batch/gmail/v1", content=body, headers=headers))
        assert answers[0][1] == 401
        assert (await bare.get(f"{GMAIL}/profile")).status_code == 401


async def test_history_tells_what_was_added_and_when_it_is_too_old() -> None:
    async with sandbox_and_client() as (sandbox, client):
        start = (await client.get(f"{GMAIL}/profile")).json()["historyId"]
        fill(sandbox, 3)

        first = (await client.get(f"{GMAIL}/history", params={"startHistoryId": start, "maxResults": 2})).json()
        token = first["nextPageToken"]
        rest = (
            await client.get(f"{GMAIL}/history", params={"startHistoryId": start, "maxResults": 2, "pageToken": token})
        ).json()

        added = [record["messagesAdded"][0]["message"]["id"] for page in (first, rest) for record in page["history"]]
        assert added == (await search(client, "in:inbox"))[::-1]
        assert "nextPageToken" not in rest
        assert (await client.get(f"{GMAIL}/history", params={"startHistoryId": "1"})).status_code == 404
        assert (await client.get(f"{GMAIL}/history")).status_code == 400


async def test_mail_sent_through_gmail_reaches_both_mailboxes() -> None:
    async with sandbox_and_client() as (sandbox, client):
        raw = plain_mail("Hello", to=f"Bruno <{BRUNO}>, {ADA}", sender=ADA, message_id=DIGEST_ID)
        sent = (await client.post(f"{GMAIL}/messages/send", json={"raw": encoded(raw).rstrip("=")})).json()

        assert sent["labelIds"] == ["SENT"]
        assert await search(client, f"rfc822msgid:<{DIGEST_ID}> in:sent") == [sent["id"]]
        assert await search(client, f"rfc822msgid:{DIGEST_ID} in:inbox") == [sent["id"]]
        bruno = sandbox.sandbox.accounts.by_email(BRUNO)
        assert bruno is not None
        assert [message.labels for message in bruno.mailbox.newest_first()] == [("INBOX", "UNREAD")]
        assert (await client.post(f"{GMAIL}/messages/send", json={"raw": "!"})).status_code == 400


async def test_mail_over_smtp_is_found_by_its_message_id_and_recorded() -> None:
    async with sandbox_and_client() as (sandbox, client):
        await send_mail(sandbox, ADA, "stranger@example.com", body="First line\r\n.dotted\r\n..twice\r\n.")

        found = await search(client, f"rfc822msgid:{DIGEST_ID}")
        listed = (await client.get("/inbox.json", params={"occurrence": "digest/7", "user": ADA})).json()

        assert len(found) == 1
        assert listed["total"] == 1
        assert listed["messages"][0]["message_id"] == DIGEST_ID
        assert listed["messages"][0]["recipients"] == [ADA, "stranger@example.com"]
        raw = (await client.get("/inbox/1.eml")).content
        assert raw.endswith(b"First line\r\n.dotted\r\n..twice\r\n.\r\n")


async def test_several_messages_go_over_one_connection_and_an_idle_one_is_closed() -> None:
    async with sandbox_and_client(smtp_idle_seconds=0.2) as (sandbox, _):
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=sandbox.smtp_port, start_tls=False)
        await client.connect()
        await client.login("anybody", "anything")
        for body in (b"", b"x" * 200_000, plain_mail("short")):
            await client.sendmail("a@x.invalid", [ADA], body)
        assert len(sandbox.sandbox.accepted) == 3
        async with asyncio.timeout(5):
            while client.is_connected:
                await asyncio.sleep(0.02)
        assert not client.is_connected


async def test_a_message_over_the_size_limit_is_refused_and_the_connection_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gda.sandbox.smtp.SinkProtocol.line_length_limit", 50_000)
    async with sandbox_and_client() as (sandbox, _):
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=sandbox.smtp_port, start_tls=False)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPDataError, match="Too much"):
            await client.sendmail("a@x.invalid", [ADA], b"x" * 300_000)
        await client.sendmail("a@x.invalid", [ADA], plain_mail("short"))
        await client.quit()
        assert [message.subject for message in sandbox.sandbox.accepted.find()] == ["short"]


async def test_fresh_mail_is_out_of_searches_but_there_by_its_id() -> None:
    async with sandbox_and_client() as (sandbox, client):
        await client.post("/_sandbox/faults", json={"set": [{"kind": "index_delay", "seconds": 600}]})
        await send_mail(sandbox, ADA)
        account = sandbox.sandbox.accounts.by_email(ADA)
        assert account is not None
        message = next(account.mailbox.newest_first())

        assert await search(client, f"rfc822msgid:{DIGEST_ID}") == []
        assert (await client.get(f"{GMAIL}/messages/{message.id}")).status_code == 200
        await client.post("/_sandbox/faults", json={"clear": ["index_delay"]})
        assert await search(client, f"rfc822msgid:{DIGEST_ID}") == [message.id]


async def test_a_rewritten_message_id_is_not_found_but_the_occurrence_header_stays() -> None:
    async with sandbox_and_client() as (sandbox, client):
        sandbox.sandbox.faults.switch_on(Fault("rewrite_message_id", user=ADA))
        await send_mail(sandbox, ADA)

        assert await search(client, f"rfc822msgid:{DIGEST_ID}") == []
        listed = (await client.get("/inbox.json")).json()["messages"][0]
        assert listed["message_id"] == DIGEST_ID
        assert listed["delivered_message_id"].endswith("@sandbox.invalid")
        (found,) = await search(client, f"rfc822msgid:{listed['delivered_message_id']}")
        headers = (await client.get(f"{GMAIL}/messages/{found}", params={"format": "metadata"})).json()["payload"]
        assert {"name": "X-GDA-Occurrence", "value": "digest/7"} in headers["headers"]


async def test_accept_then_drop_delivers_without_a_reply() -> None:
    async with sandbox_and_client() as (sandbox, client):
        sandbox.sandbox.faults.switch_on(Fault("accept_then_drop", times=1))

        async with asyncio.timeout(5):
            with pytest.raises(aiosmtplib.SMTPServerDisconnected):
                await send_mail(sandbox, ADA)
        assert len(await search(client, f"rfc822msgid:{DIGEST_ID}")) == 1
        await send_mail(sandbox, ADA)

        stats = (await client.get("/_sandbox/stats")).json()
        assert stats["duplicates"] == {"digest/7": 2}
        assert stats["smtp_accepted"] == 2


async def test_a_refusal_and_a_slow_reply_come_as_ordered() -> None:
    async with sandbox_and_client(smtp_idle_seconds=0.1) as (sandbox, _):
        sandbox.sandbox.faults.switch_on(Fault("smtp_reject", code=550, times=1))
        with pytest.raises(aiosmtplib.SMTPDataError) as refusal:
            await send_mail(sandbox, ADA)
        assert refusal.value.code == 550
        assert len(sandbox.sandbox.accepted) == 0

        sandbox.sandbox.faults.switch_on(Fault("smtp_slow", seconds=0.3))
        started = asyncio.get_running_loop().time()
        await send_mail(sandbox, ADA)
        assert asyncio.get_running_loop().time() - started >= 0.3


async def test_http_faults_are_seen_by_a_client() -> None:
    async with sandbox_and_client() as (sandbox, client):
        fill(sandbox, 2)
        faults = [
            {"kind": "rate_limit", "endpoint": "messages.list", "retry_after": 3, "times": 1},
            {"kind": "slow", "endpoint": "profile", "seconds": 0.1, "bytes_per_second": 2000},
        ]
        await client.post("/_sandbox/faults", json={"set": faults})

        limited = await client.get(f"{GMAIL}/messages")
        started = asyncio.get_running_loop().time()
        slow = await client.get(f"{GMAIL}/profile")

        assert (limited.status_code, limited.headers["retry-after"]) == (429, "3")
        assert (await client.get(f"{GMAIL}/messages")).status_code == 200
        assert slow.json()["emailAddress"] == ADA
        assert asyncio.get_running_loop().time() - started >= 0.1
        assert [fault["fired"] for fault in (await client.get("/_sandbox/faults")).json()["faults"]] == [1, 1]


async def test_the_inbox_is_readable_and_shows_hostile_mail_harmlessly() -> None:
    raw = (
        b"From: <b>Mallory</b> <m@example.org>\r\nTo: ada@example.org\r\nSubject: <script>alert(1)</script>\r\n"
        b"Content-Type: text/html\r\n\r\n<h1>Hi</h1><script>alert(2)</script>\r\n"
    )
    async with sandbox_and_client() as (sandbox, client):
        assert "Nothing here yet" in (await client.get("/inbox")).text
        sandbox.sandbox.accept(raw, sender="m@example.org", recipients=[ADA], channel="smtp")

        assert (await client.get("/")).headers["location"] == "/inbox"
        for path in ("/inbox", f"/inbox?user={ADA}", "/inbox/1"):
            page = await client.get(path)
            assert page.status_code == 200
            assert "<script>" not in page.text
            assert "&lt;script&gt;alert(1)" in page.text
            assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert '<iframe sandbox="" src="/inbox/1.html"' in page.text
        frame = await client.get("/inbox/1.html")
        assert "<h1>Hi</h1>" in frame.text
        assert "; sandbox;" in frame.headers["content-security-policy"]
        assert (await client.get("/inbox/1.json")).json()["html"].startswith("<h1>Hi</h1>")
        assert (await client.get("/inbox/2")).status_code == 404
        assert (await client.get("/inbox?user=nobody@example.org")).status_code == 200


async def test_accounts_are_opened_in_bulk_with_tokens_and_made_up_mail() -> None:
    async with sandbox_and_client() as (_, client):
        generate = {"pool": 20, "messages": 5, "min_bytes": 3000, "max_bytes": 6000, "seed": 3}
        wanted = [{"email": f"u{n}@example.org", "access_token": True, "generate": generate} for n in range(50)]
        opened = (await client.post("/_sandbox/accounts", json={"accounts": wanted})).json()["accounts"]

        assert len({account["refresh_token"] for account in opened}) == 50
        headers = {"authorization": f"Bearer {opened[7]['access_token']}"}
        assert (await client.get(f"{GMAIL}/profile", headers=headers)).json()["messagesTotal"] == 5
        assert (await client.get("/_sandbox/health")).json()["accounts"] == 52


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("accounts", {"accounts": [{"email": "nobody"}]}, "'nobody' is no mail address"),
        ("accounts", {"accounts": [{"email": ADA + "x", "samples": "zoe"}]}, "zoe"),
        ("accounts", {"accounts": [{"email": ADA + "x", "generate": {"pool": "2"}}]}, "whole numbers"),
        ("accounts", {"accounts": "x"}, "list of objects"),
        ("faults", {"set": [{"kind": "earthquake"}]}, "earthquake"),
        ("faults", {"clear": 1}, "clear"),
        ("revoke", {"email": "nobody@example.org"}, "nobody@example.org"),
        ("messages", {"email": ADA, "raw": "a"}, "base64url"),
    ],
)
async def test_a_wrong_control_is_refused_in_one_sentence(name: str, body: dict[str, Any], words: str) -> None:
    async with sandbox_and_client() as (sandbox, client):
        response = await client.post(f"/_sandbox/{name}", json=body)
        assert response.status_code == 400
        assert words in response.json()["error"]["message"]
        assert len(sandbox.sandbox.accounts) == 2


async def test_a_port_in_use_and_a_missing_folder_are_said_plainly(tmp_path: Path) -> None:
    async with running_sandbox() as sandbox:
        with pytest.raises(Unavailable, match=f"127.0.0.1:{sandbox.smtp_port} for SMTP"):
            async with running_sandbox(smtp_port=sandbox.smtp_port):
                pass
    with pytest.raises(UsageError, match="nowhere"):
        async with running_sandbox(accounts=[(ADA, tmp_path / "nowhere")]):
            pass


async def test_a_child_process_says_where_it_listens_and_stops_when_told(tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.mkdir()
    (mail / "1.eml").write_bytes(plain_mail("Hello"))
    async with spawned_sandbox("--account", f"{ADA}={mail}", "--data", str(tmp_path / "data")) as child:
        opened = await child.control("accounts", {"accounts": [{"email": ADA, "access_token": True}]})
        async with httpx.AsyncClient(base_url=child.http, trust_env=False) as client:
            headers = {"authorization": f"Bearer {opened['accounts'][0]['access_token']}"}
            assert (await client.get(f"{GMAIL}/profile", headers=headers)).json()["messagesTotal"] == 1
        child.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(child.process.wait(), 10) == 0


async def test_a_child_process_with_bad_input_ends_with_two_and_one_sentence(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gda.sandbox", "--account", f"{ADA}={tmp_path / 'nowhere'}"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert errors.decode().count("\n") == 1
    assert "nowhere" in errors.decode()
