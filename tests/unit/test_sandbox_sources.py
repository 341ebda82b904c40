"""First mail from folders, mbox files, Maildirs and shipped sets, broken mail included."""

from pathlib import Path

import orjson
import pytest

from gda.errors import UsageError
from gda.sandbox.content import Content, read_headers
from gda.sandbox.generate import MailPlan, pick_mail
from gda.sandbox.sources import SAMPLES, read_mail, read_samples, sample_sets
from gda.sandbox.state import Sandbox, with_message_id
from tests.support.sandbox import plain_mail

NASTY_MAIL = Path(__file__).parents[2].parent / "shared" / "data" / "mail"


def test_a_folder_is_read_in_order_of_file_names(tmp_path: Path) -> None:
    for name in ("b.eml", "a.eml", "ignored.txt"):
        (tmp_path / name).write_bytes(plain_mail(name))

    assert [Content(mail.raw).header("subject") for mail in read_mail(tmp_path)] == ["a.eml", "b.eml"]


def test_an_mbox_is_cut_at_its_separators_and_unquoted(tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.write_bytes(
        b"From a@example.org Mon Mar  2 09:00:00 2026\nSubject: one\n\nFirst\n>From here on\n\n"
        b"From b@example.org Mon Mar  2 10:00:00 2026\nSubject: two\n\nFrom is no separator\nhere\n"
    )

    first, second = read_mail(box)

    assert first.raw == b"Subject: one\n\nFirst\nFrom here on\n"
    assert second.raw.startswith(b"Subject: two\n\nFrom is no")


def test_a_maildir_tells_what_was_read(tmp_path: Path) -> None:
    for part in ("cur", "new", "tmp"):
        (tmp_path / part).mkdir()
    (tmp_path / "cur" / "1.host:2,S").write_bytes(plain_mail("seen"))
    (tmp_path / "cur" / "2.host:2,").write_bytes(plain_mail("not seen"))
    (tmp_path / "new" / "3.host").write_bytes(plain_mail("new"))

    mails = read_mail(tmp_path)

    assert [(Content(mail.raw).header("subject"), mail.unread) for mail in mails] == [
        ("seen", False),
        ("not seen", True),
        ("new", True),
    ]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        Sandbox().open_account("ada@example.org", mail=str(tmp_path / "nowhere"))


def test_an_unknown_sample_set_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'zoe'.*ada"):
        read_samples("zoe")


@pytest.mark.parametrize("name", [name for name in sample_sets() if name != "empty"])
def test_a_shipped_set_holds_whole_readable_mails(name: str) -> None:
    mails = [Content(mail.raw) for mail in read_samples(name)]

    assert 6 <= len(mails) <= 12
    assert all(
        mail.header("from") and mail.header("subject") and mail.message_id and mail.text.strip() for mail in mails
    )
    assert len({mail.message_id for mail in mails}) == len(mails)


def test_the_shipped_sets_stay_small_and_one_is_empty() -> None:
    assert len(sample_sets()) >= 7
    assert sum(file.stat().st_size for file in SAMPLES.rglob("*.eml")) < 200_000
    assert read_samples("empty") == []


@pytest.mark.skipif(not NASTY_MAIL.is_dir(), reason="the collection of broken mail is not here")
def test_every_broken_mail_loads_and_can_be_shown() -> None:
    account = Sandbox().open_account("ada@example.org", mail=str(NASTY_MAIL))

    assert len(account.mailbox) == len(list(NASTY_MAIL.glob("*.eml")))
    for message in account.mailbox.newest_first():
        content = message.content
        assert orjson.dumps([content.headers, content.snippet, content.searchable, content.raw.hex()])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00 no header at all",
        b"Subject",
        b"Subject: =?utf-8?b?!!!?= =?nonsense?q?x?=\n\n",
        b"Subject: \xed\xa0\x80\n\nlone surrogate",
        b"Content-Type: multipart/mixed\n\nno boundary",
        b"Content-Type: text/plain; charset=not-a-charset\nContent-Transfer-Encoding: base64\n\n%%%",
        b"Content-Type: text/plain; name*=nonsense'x'%ZZ\n\nbody",
    ],
)
def test_garbage_is_a_mail_like_any_other(raw: bytes) -> None:
    content = Content(raw)

    assert orjson.dumps([content.headers, content.snippet, content.searchable, content.mime_type])
    assert len(list(content.tree.walk())) >= 1


def test_headers_are_unfolded_and_the_body_is_left_alone() -> None:
    raw = b"Subject: a\r\n folded\r\n\tline\r\nX: 1\r\n\r\nSubject: in the body\r\n"

    assert read_headers(raw) == [("Subject", "a folded line"), ("X", "1")]


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
@pytest.mark.parametrize(
    "head", [b"Message-Id: <old@x>", b"A: 1|MESSAGE-ID:| <old@x>|B: 2", b"A: 1|Message-ID: <old@x>", b"A: 1"]
)
def test_a_message_id_is_replaced_and_nothing_else(head: bytes, newline: bytes) -> None:
    raw = head.replace(b"|", newline) + newline * 2 + b"Message-ID: <body@x>" + newline

    changed = with_message_id(raw, "new@sandbox.invalid")

    assert Content(changed).message_id == "new@sandbox.invalid"
    assert changed.endswith(newline * 2 + b"Message-ID: <body@x>" + newline)
    kept = [pair for pair in Content(raw).headers if pair[0].lower() != "message-id"]
    assert Content(changed).headers[1:] == kept


def test_generated_mail_follows_from_its_seed_and_keeps_to_its_sizes() -> None:
    plan = MailPlan(pool=40, messages=10, min_bytes=3000, max_bytes=30000, seed=7)
    mails = pick_mail(plan, "ada@example.org")

    assert mails == pick_mail(plan, "ada@example.org")
    assert mails != pick_mail(plan, "bruno@example.org")
    assert mails != pick_mail(MailPlan(pool=40, messages=10, seed=8), "ada@example.org")
    assert len(set(mails)) == 10
    assert all(2400 <= len(mail) <= 36000 for mail in mails)
    assert all(Content(mail).message_id and Content(mail).text.strip() for mail in mails)


def test_a_plan_that_asks_for_more_than_its_pool_is_refused() -> None:
    with pytest.raises(UsageError, match="messages=11"):
        MailPlan(pool=10, messages=11)
