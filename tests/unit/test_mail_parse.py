"""The folder of real broken mail: no message may lose its sender, its subject or its place in the count."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gda.mail import NO_SENDER, NO_SUBJECT, Message, parse_message

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "mail"
NOW = datetime(2026, 3, 8, 6, 30, tzinfo=UTC)

# Name, address and subject as a person reading the file would say them, written down by reading each file.
EXPECTED = {
    "attachment_emails__attachment_content_disposition": ("", "foo@example.com", "testing"),
    "attachment_emails__attachment_content_location": ("", "foo@example.com", "testing"),
    "attachment_emails__attachment_message_rfc822": ("", "foo@example.com", "testing"),
    "attachment_emails__attachment_only_email": (
        "Ryan Finnie",
        "rfinnie@domain.dom",
        "this message JUST contains an attachment",
    ),
    "attachment_emails__attachment_pdf": ("Test Tester", "xxxx@xxxx.com", "Another PDF with 🎉 Unicode chars in it 🍿"),
    "attachment_emails__attachment_pdf_lf": (
        "Test Tester",
        "xxxx@xxxx.com",
        "Another PDF with 🎉 Unicode chars in it 🍿",
    ),
    "attachment_emails__attachment_with_base64_encoded_name": (
        "xxxxxxxxx xxxxxxx",
        "xxxxxxxxx.xxxxxxx@gmail.com",
        "Fwd: Signed email causes file attachments",
    ),
    "attachment_emails__attachment_with_encoded_name": (
        "xxxxxxxxx xxxxxxx",
        "xxxxxxxxx.xxxxxxx@gmail.com",
        "Fwd: Signed email causes file attachments",
    ),
    "attachment_emails__attachment_with_quoted_filename": ("Jeffrey Hardy", "jeff@37signals.com", "Eelanalüüsi päring"),
    "error_emails__bad_date_header2": (
        "Free-Quilting.com",
        "enews@Free-Quilting.com",
        "40% OFF holiday patterns and fabric!",
    ),
    "error_emails__bad_encoded_subject": (NO_SENDER, "", "TEST"),
    "error_emails__bad_subject": (
        "MySurvey.com & Carol Adams",
        "carol@mysurvey.com",
        "MySurvey.com:  You have a survey waiting!  91123105",
    ),
    "error_emails__content_transfer_encoding_empty": (
        "",
        "3712f2@msa.hinet.net",
        "4d8119¡@(¤j¸ÉªwÄÑ±M½æ) ¤j®a»¡\xad^»y ¨C¤éÅ¥MP3 (2004¦~6¤ë¥÷) ÁcÅé¤¤¤å¥úºÐª© (\xad^»y±Ð¾Ç)¡@8afb90",
    ),
    "error_emails__content_transfer_encoding_plain": (
        "shavonda Cabral",
        "baocqccyw@hq.lindsayelec.com",
        "bookkeeping Get in on IGTS asap.",
    ),
    "error_emails__content_transfer_encoding_qp_with_space": (
        "Wilmer Capps",
        "fyouizjnp@swissonline.ch",
        "Low or High Blood Pressure? We can help.",
    ),
    "error_emails__content_transfer_encoding_with_8bits": (
        "announcements@provantage.com",
        "announcements@provantage.com",
        "The Original Advantage #e13011",
    ),
    "error_emails__content_transfer_encoding_with_semi_colon": ("Shelby", "nsukijamq@morozstudio.tk", "Attention"),
    "error_emails__content_transfer_encoding_x_uuencode": (
        "Lon L. Peters",
        "lpeters@PACIFIER.COM",
        "PGP Comments on RTO West Release of Dec. 14",
    ),
    "error_emails__encoding_madness": (
        "",
        "no-reply@crm.el-example.org",
        "eBay Bid - 2008 Ford Super Duty F-350 DRW King Ranch Crew Cab 4x4 (156) - Stock# XXXX",
    ),
    "error_emails__header_fields_with_empty_values": ("Jørn Støylen", "jorn@prikkprikkprikk.no", "Testmail"),
    "error_emails__invalid_subject_characters": (
        "Formação Frenetikpolis",
        "info@formacaofrenetik.info",
        "Formação FrenetikPolis: Mega Campanha Final Verão | Cursos de Setembro",
    ),
    "error_emails__multiple_content_types": ("", "redacted@flashmail.net", "Redacted"),
    "error_emails__multiple_invalid_content_dispositions": ("", "redacted@flashmail.net", "Redacted"),
    "error_emails__multiple_references_with_one_invalid": ("", "redacted@flashmail.net", "Redacted"),
    "error_emails__trademark_character_in_subject": ("", "j@yahoo-example.com", "GA.comô has a lead for you"),
    "error_emails__weird_to_header": ("", "anonymous@i.tp.host", NO_SUBJECT),
    "mime_emails__email_with_similar_boundaries": ("Xxxxx", "xxxxxx@xxxxxxxx.xxx", "Xxxxxx"),
    "mime_emails__raw_email2": (
        "xxxxxxxxx xxxxxxx",
        "xxxxxxxxx.xxxxxxx@gmail.com",
        "Fwd: Signed email causes file attachments",
    ),
    "mime_emails__raw_email4": ("", "xxx@xxxx.xxx", "Filth"),
    "mime_emails__raw_email7": ("", "foo@example.com", "testing"),
    "mime_emails__raw_email_with_illegal_boundary": ("Mikel Lindsaar", "email_test@me.nowhere", "Testing outlook"),
    "mime_emails__raw_email_with_mimepart_without_content_type": (
        "Mail Delivery Subsystem",
        "MAILER-DAEMON@antivirus.uqam.ca",
        "Warning: could not send message for past 1 day",
    ),
    "mime_emails__raw_email_with_multipart_mixed_quoted_boundary": (
        "Mikel Lindsaar",
        "email_test@me.nowhere",
        "Testing outlook",
    ),
    "mime_emails__sig_only_email": ("Test", "test@test.lindsaar.net", "Re: Testing multipart/signed"),
    "mime_emails__two_from_in_message": ("Tester 1", "tester1@test.com", "Sending messages include last little bit"),
    "multi_charset__japanese": ("Mikel Lindsaar", "raasdnil@gmail.com", "まみむめも"),
    "multi_charset__japanese_iso_2022": ("Mikel Lindsaar", "raasdnil@gmail.com", "まみむめも"),
    "multi_charset__japanese_shift_jis": ("", "xxxxxxx@docomo.ne.jp", "test"),
    "multi_charset__ks_c_5601-1987": ("", "from@example.com", "test"),
    "multipart_report_emails__multipart_report_multiple_status": (
        "Mail Administrator",
        "Postmaster@ci.com",
        "Mail System Error - Returned Mail",
    ),
    "multipart_report_emails__report_422": (
        "Mail Delivery Subsystem",
        "MAILER-DAEMON@tppppp.com.au",
        "Warning: could not send message for past 8 hours",
    ),
    "multipart_report_emails__report_530": (
        "Mail Delivery Subsystem",
        "MAILER-DAEMON@tttttt.com.au",
        "Returned mail: see transcript for details",
    ),
    "plain_emails__mix_caps_content_type": ("Big Bug", "bb@bug.com", "undef method parameter bug"),
    "plain_emails__raw_email": ("Jamis Buck", "jamis@37signals.com", "NOTE: 한국말로 하는 것"),
    "plain_emails__raw_email10": ("", "xxx@xxxx.xxx", NO_SUBJECT),
    "plain_emails__raw_email8": (
        "xxxxxxxxx xxxxxxx",
        "xxxxxxxxx.xxxxxxx@gmail.com",
        "Fwd: Signed email causes file attachments",
    ),
    "plain_emails__raw_email_bad_time": ("Атиковa", "yusuf75thu@auracom.net", "[0]: XXXXXXX XXXXX XXXXX !"),
    "plain_emails__raw_email_double_at_in_header": ("Jamis Buck", "jamis@37signals.com", "NOTE: 한국말로 하는 것"),
    "plain_emails__raw_email_quoted_with_0d0a": ("", "foo@example.com", "testing"),
    "plain_emails__raw_email_reply": ("Testing", "xxxxxxxx@xxx.org", "Re: Test reply email"),
    "plain_emails__raw_email_simple": ("Mikel Lindsaar", "mikel@nowhere.com", "Testing outlook"),
    "plain_emails__raw_email_with_at_display_name": ("Mikel Lindsaar", "test@lindsaar.net", "Testing 123"),
    "plain_emails__raw_email_with_bad_date": (
        "Darrell Shaw",
        "subventive@vodtravel.com",
        "Microsoft Vlsta & Office2007, Just released for 79$ Save 1599.95$ 0ff Retai|",
    ),
    "plain_emails__raw_email_with_partially_quoted_subject": (
        "Jamis Buck",
        "jamis@37signals.com",
        'Re: Test: "漢字" mid "漢字" tail',
    ),
    "rfc2822__example03": ("Joe Q. Public", "john.q.public@example.com", NO_SUBJECT),
    "rfc2822__example04": ("Pete", "pete@silly.example", NO_SUBJECT),
    "rfc2822__example05": ("John Doe", "jdoe@machine.example", "Saying Hello"),
    "rfc2822__example08": ("John Doe", "jdoe@machine.example", "Saying Hello"),
    "rfc2822__example09": ("John Doe", "jdoe@machine.example", "Saying Hello"),
    "rfc2822__example10": ("Pete", "pete@silly.test", NO_SUBJECT),
    "rfc2822__example13": ("John Doe", "jdoe@machine.example", "Saying Hello"),
    "rfc2822__example14": ("Atsushi Yoshida", "atsushi@example.com", "Re: TEST テストテスト"),
    "rfc6532__utf8_headers": ("Jöhn Doe", "jdöe@mächine.example", "Säying Hello"),
}

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the folder of real mail is not beside this repository")


def read(name: str) -> Message:
    return parse_message((FOLDER / f"{name}.eml").read_bytes(), id=name, thread_id="t", received_at=NOW)


def test_every_file_of_the_folder_is_in_the_table() -> None:
    assert {path.stem for path in FOLDER.glob("*.eml")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_sender_and_subject_are_what_a_person_reading_the_file_would_say(name: str) -> None:
    message = read(name)
    assert (message.sender.name, message.sender.email, message.subject) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_placeholder_is_declared_exactly_where_one_stands(name: str) -> None:
    message = read(name)
    assert ("sender" in message.placeholders) == (message.sender.name == NO_SENDER)
    assert ("subject" in message.placeholders) == (message.subject == NO_SUBJECT)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("multi_charset__japanese_iso_2022", "すみません。"),
        ("multi_charset__japanese_shift_jis", "あいうえお"),
        ("plain_emails__raw_email", "대부분의 마찬가지로"),
        ("error_emails__content_transfer_encoding_x_uuencode", "Attached are the comments"),
        ("error_emails__content_transfer_encoding_qp_with_space", "If you're in need"),
        ("mime_emails__raw_email_with_illegal_boundary", "Hello\nThis is an outlook test"),
        ("error_emails__multiple_invalid_content_dispositions", "foo"),
        ("error_emails__multiple_content_types", "foo"),
    ],
)
def test_the_text_of_a_damaged_mail_is_read(name: str, start: str) -> None:
    assert read(name).text.startswith(start)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("attachment_emails__attachment_pdf", ("broken.pdf",)),
        ("attachment_emails__attachment_only_email", ("blah.gz",)),
        ("attachment_emails__attachment_with_base64_encoded_name", ("This is a test.pdf",)),
        ("error_emails__content_transfer_encoding_x_uuencode", ("PGP_Cmts_on_12-14-01_Pkg.doc",)),
    ],
)
def test_attachments_are_named(name: str, files: tuple[str, ...]) -> None:
    assert read(name).attachments == files


def test_a_bounce_is_bulk_and_a_letter_is_not() -> None:
    assert read("multipart_report_emails__report_422").bulk
    assert not read("plain_emails__raw_email_reply").bulk


def test_a_date_that_cannot_be_is_no_date() -> None:
    assert read("plain_emails__raw_email_bad_time").sent_at is None
    assert read("plain_emails__raw_email_with_bad_date").sent_at is None
    assert read("rfc2822__example05").sent_at == datetime(1997, 11, 21, 15, 55, 6, tzinfo=UTC)
