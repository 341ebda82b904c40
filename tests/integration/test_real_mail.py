"""Every message of a folder of real, broken mail stands in the delivered digest, looked up in the mail itself."""

import email
from email.message import EmailMessage
from email.policy import default

import pytest
from selectolax.lexbor import LexborHTMLParser

from tests.support.household import a_household
from tests.unit.test_mail_parse import EXPECTED, FOLDER

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the folder of real mail is not beside this repository")


def rows_of(raw: bytes) -> list[str]:
    """The text of each listed message, as the HTML part shows it."""
    mail = email.message_from_bytes(raw, _class=EmailMessage, policy=default)
    page = mail.get_body(("html",)).get_content()
    return [" ".join(row.text().split()) for row in LexborHTMLParser(page).css("[data-gda-message]")]


async def test_each_of_the_messages_is_listed_with_its_sender_and_subject_or_an_honest_placeholder(tmp_path):
    async with a_household(tmp_path, "ada", mail=FOLDER) as house:
        report = await house.asked("ada")
        [delivered] = house.accepted("ada")

    rows = rows_of(delivered.content.raw)
    assert str(report) == "1 done"
    assert len(rows) == len(EXPECTED)
    for name, address, subject in EXPECTED.values():
        words = [" ".join(part.split()) for part in (name or address, subject)]
        found = next((row for row in rows if all(part in row for part in words)), None)
        assert found is not None, f"{words} is not listed"
        rows.remove(found)
    assert rows == []
