"""Rendering: whatever a mail says is shown as text, in a page without anything active in it."""

import json
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode

from gda.digest import Recipient, Rendered, Window, compose, render
from gda.mail import Address, Message, parse_message

UNTIL = datetime(2026, 3, 8, 6, 30, tzinfo=UTC)
# What the page itself is made of; a mail must never add to it.
OUR_TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "div",
    "table",
    "tbody",
    "tr",
    "td",
    "p",
    "span",
    "h1",
    "h2",
    "strong",
    "br",
    "a",
}
OUR_ATTRIBUTES = {
    "lang",
    "charset",
    "name",
    "content",
    "class",
    "style",
    "role",
    "width",
    "height",
    "cellpadding",
    "cellspacing",
    "border",
    "align",
    "valign",
    "bgcolor",
    "dir",
    "href",
    "data-gda-message",
}


def message(id: str = "19c0000000000001", **changes: object) -> Message:
    fields: dict[str, object] = {
        "id": id,
        "thread_id": id,
        "received_at": UNTIL - timedelta(minutes=5),
        "sender": Address("Bob", "bob@example.com"),
        "subject": "Hello",
        "text": "The bridge is closed until Monday.",
    }
    return Message(**(fields | changes))  # type: ignore[arg-type]


def rendered(*messages: Message, name: str = "Ada", max_messages: int = 50) -> Rendered:
    window = Window(UNTIL - timedelta(days=1), UNTIL, tuple(each.id for each in messages))
    return render(
        compose(
            messages,
            recipient=Recipient("ada@example.com", name, "Europe/Berlin"),
            window=window,
            label="2026-03-08T07:30",
            max_messages=max_messages,
            web_mail="https://mail.google.com/mail/u/0/#all/",
        )
    )


def assert_harmless(html: str) -> None:
    tree = LexborHTMLParser(html)
    nodes: list[LexborNode] = tree.css("*")
    assert {node.tag for node in nodes} <= OUR_TAGS
    assert {name for node in nodes for name in node.attributes} <= OUR_ATTRIBUTES
    assert all((node.attributes["href"] or "").startswith("https://mail.google.com/") for node in tree.css("a"))
    # The one style element is ours: it came from digest.css and holds no word of a mail.
    styles = tree.css("style")
    assert len(styles) == 1
    assert styles[0].text() == LexborHTMLParser(rendered(message()).html).css("style")[0].text()


def test_each_listed_message_has_a_row_with_its_id_sender_and_subject() -> None:
    messages = [
        message(
            f"id{at}",
            thread_id=f"t{at % 3}",
            subject=f"Subject {at}",
            sender=Address(f"Person {at}", f"p{at}@example.com"),
        )
        for at in range(8)
    ]
    page = rendered(*messages)
    tree = LexborHTMLParser(page.html)
    assert len(tree.css("[data-gda-message]")) == 8
    for at in range(8):
        row = tree.css_first(f'tr[data-gda-message="id{at}"]')
        assert row is not None
        assert f"Subject {at}" in row.text()
        assert f"Person {at}" in row.text()
        assert f"Subject {at}" in page.text
        assert f"Person {at} <p{at}@example.com>" in page.text


def test_the_head_says_when_how_many_and_where_and_the_foot_says_why() -> None:
    page = rendered(message())
    for words in (
        "1 new message",
        "Sunday 8 March 2026",
        "07:30",
        "Europe/Berlin",
        "Good morning",
        "ada@example.com",
        "GDA",
    ):
        assert words in page.html
        assert words in page.text
    assert page.subject == "Your digest for Sunday 8 March: 1 new message"


def test_hidden_messages_are_counted_in_both_forms() -> None:
    page = rendered(*(message(f"m{at}") for at in range(9)), max_messages=4)
    assert page.html.count("data-gda-message=") == 4
    for form in (page.html, page.text):
        assert "+5 more in your mailbox" in form
        assert "Listed here: 4 of 9 messages." in form


def test_a_placeholder_is_counted_at_the_foot() -> None:
    page = rendered(parse_message(b"\xff", id="x", thread_id="x", received_at=UNTIL))
    assert "(unknown sender)" in page.html
    assert "(no subject)" in page.text
    assert "1 came without a readable sender or subject." in page.text


TEMPLATES = [
    "{{ 7*7 }}",
    "{% raw %}",
    "{# gone #}",
    "%s %(x)d %%",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "{{ digest.recipient }}",
    "<!--{% x %}-->",
]


@pytest.mark.parametrize("subject", TEMPLATES)
def test_template_signs_in_a_subject_come_out_verbatim(subject: str) -> None:
    page = rendered(
        message(subject=subject, sender=Address(subject, "a@example.com"), text=f"Look at {subject} in this text.")
    )
    assert unescape(page.html).count(subject) >= 4
    assert page.text.count(subject) >= 2
    assert "49" not in page.text


XSS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//x.example></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg/onload=alert(1)//",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "<iframe srcdoc='<script>x</script>'>",
    "<object data=x>",
    "<embed src=x>",
    "<form action=//x><input name=a>",
    "<button formaction=javascript:alert(1)>x",
    "<a href=javascript:alert(1)>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href=data:text/html,x>x</a>",
    "<a href=vbscript:x>x</a>",
    "<math href=javascript:alert(1)>x",
    "<details open ontoggle=alert(1)>",
    "<video src=x onerror=alert(1)>",
    "<audio onloadstart=alert(1) src=x>",
    "<marquee onstart=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<select onfocus=alert(1)>",
    "<textarea onfocus=alert(1) autofocus>",
    "<keygen onfocus=alert(1)>",
    "<style>*{x:expression(alert(1))}</style>",
    "<style>@import '//x.example';</style>",
    "<link rel=stylesheet href=//x.example>",
    "<meta http-equiv=refresh content='0;url=//x'>",
    "<base href=//x.example>",
    "<template><script>x</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</td></tr></table><script>alert(1)</script>",
    "--><script>alert(1)</script>",
    "<!--<img src='--><img src=x onerror=alert(1)>'>",
    "]]><script>alert(1)</script>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><x onload=alert(1)>",
    "<xss onclick=alert(1) style=position:fixed>",
    "' onmouseover='alert(1)",
    '" onmouseover="alert(1)',
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    '" data-gda-message="forged',
    "` onerror=`alert(1)",
    "javascript:alert(1)",
    "data:text/html;base64,PHNjcmlwdD4=",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)",
    "&#x3c;img src=x onerror=alert(1)&#x3e;",
    "\\x3cscript\\x3e",
    "\\u003cscript\\u003e",
    "＜script＞alert(1)＜/script＞",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<a/href='x'/onclick=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x>",
    "<svg><foreignObject><body onload=alert(1)>",
    "<math><mtext><table><mglyph><style><img src onerror=alert(1)>",
    "<p style='background:url(//x.example/p.gif)'>",
    "<table background=//x.example/p.gif>",
    "<plaintext>",
    "<frameset onload=alert(1)>",
    "[link](javascript:alert(1))",
    "![image](https://x.example/p.gif)",
    "{{constructor.constructor('alert(1)')()}}",
]


@pytest.mark.parametrize("vector", XSS)
def test_nothing_active_reaches_the_page_from_any_text_of_a_mail(vector: str) -> None:
    attacked = message(
        '"><script>' + vector,
        thread_id=vector,
        subject=vector,
        sender=Address(vector, vector),
        text=f"Please look at this: {vector} and tell me what you think.",
        attachments=(vector, vector),
    )
    older = message(
        "old", thread_id=vector, subject=vector, sender=Address(vector, vector), received_at=UNTIL - timedelta(hours=3)
    )
    page = rendered(attacked, older, name=vector)
    assert_harmless(page.html)
    assert vector in (LexborHTMLParser(page.html).css_first(".subject") or pytest.fail("no subject")).text()


@pytest.mark.parametrize("vector", XSS)
def test_nothing_active_reaches_the_page_from_a_parsed_mail(vector: str) -> None:
    head = f'From: "{json.dumps(vector)[1:-1]}" <a@example.com>\r\nSubject: {vector}\r\nContent-Type: text/html\r\n\r\n'
    raw = head + f"<p>{vector} and more words."
    assert_harmless(rendered(parse_message(raw.encode(), id="x", thread_id="x", received_at=UNTIL)).html)


def test_the_check_for_harm_can_fail() -> None:
    page = rendered(message()).html
    for harm in (
        "<script>x</script>",
        "<p onclick=x>",
        "<style>x</style>",
        "<a href='javascript:x'>y</a>",
        "<img src=x>",
    ):
        with pytest.raises(AssertionError):
            assert_harmless(page.replace("</body>", harm + "</body>"))


def test_the_page_loads_nothing_from_anywhere() -> None:
    html = rendered(message()).html
    assert not any(sign in html for sign in ("<img", "url(", "src=", "@import", "http://"))


def test_styles_are_inline_and_dark_mode_is_there() -> None:
    html = rendered(message()).html
    assert 'class="subject" dir="auto" style="' in html
    assert "prefers-color-scheme:dark" in html.replace(" ", "")
    assert html.index("charset") < html.index("<style>")
    assert "{%" not in html
    assert "<!--" not in html
