"""A notice in a user's browsers; one that is gone is forgotten."""

import json

from gda.errors import Gone, InDoubt, Permanent, Transient
from gda.google.http import Answer, Lost, exchange
from gda.notify.channels import Pushes
from gda.notify.chat import AGAIN
from gda.notify.steps import Delivery, gathered, once
from gda.notify.webpush import MOST_CLEAR, Browser, authorization, encrypt, read_browser
from gda.store import PushSubscription

LONGEST_TITLE = 200
CUT = "…"


async def deliver(delivery: Delivery) -> bool:
    """Push to each browser of the user that has not got it; says whether any has it now.

    Each browser is a step of its own: what one refuses, the others keep.

    Raises:
        ProviderError: a push service refused.
        Unverifiable: a push may have arrived.
        ClaimLost: another worker has taken the occurrence over.
    """
    pushes, browsers = delivery.channels.pushes, delivery.errand.subscriptions
    if pushes is None or not browsers:
        return False
    return any(await gathered(*(_one(delivery, pushes, each) for each in browsers)))


async def _one(delivery: Delivery, pushes: Pushes, subscription: PushSubscription) -> bool:
    browser = read_browser(delivery.channels.opened(subscription.user_id, subscription.sealed))
    step = f"push:{subscription.id}"
    try:
        await once(delivery, step, lambda: _send(delivery, pushes, browser))
    except Gone:
        await delivery.channels.store.notify_preferences.unsubscribe(subscription.id)
        return False
    return True


async def _send(delivery: Delivery, pushes: Pushes, browser: Browser) -> str:
    settings = delivery.channels.settings
    headers = {
        "Authorization": authorization(browser.endpoint, pushes.key, settings.push_contact, delivery.errand.now),
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(settings.push_ttl_seconds),
    }
    body = encrypt(content(delivery.title, delivery.body, delivery.job.occurrence.id), browser)
    request = pushes.http.build_request("POST", browser.endpoint, content=body, headers=headers)
    return accepted(await exchange(pushes.http, request))


def content(title: str, body: str, tag: str) -> bytes:
    """What a service worker reads: title, body (cut to what fits), a tag by which a repetition replaces the first."""
    title = title[:LONGEST_TITLE]
    raw = _json(title, body, tag)
    if len(raw) <= MOST_CLEAR:
        return raw
    # A byte of the body is a byte of the JSON or, escaped, several: what is cut is enough.
    fits = body.encode()[: -(len(raw) - MOST_CLEAR + len(CUT.encode()))].decode(errors="ignore")
    return _json(title, fits + CUT, tag)


def accepted(outcome: Answer | Lost) -> str:
    """What a push service's answer means (RFC 8030, section 5; RFC 8291, section 4).

    Raises:
        Gone: the browser's subscription is no more.
        Transient, Permanent: nothing was taken.
        InDoubt: it may have been.
    """
    if isinstance(outcome, Lost):
        raise InDoubt(f"push: {outcome.fault}") if outcome.sent else Transient(f"push: {outcome.fault}")
    status = outcome.status
    if 200 <= status < 300:
        return f"HTTP {status}"
    if status in (404, 410):
        raise Gone("push: the subscription is gone")
    if status in AGAIN:
        raise Transient(f"push: HTTP {status}")
    raise InDoubt(f"push: HTTP {status}") if status >= 500 else Permanent(f"push: HTTP {status}")


def _json(title: str, body: str, tag: str) -> bytes:
    return json.dumps({"title": title, "body": body, "tag": tag}, ensure_ascii=False).encode()
