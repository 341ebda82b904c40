"""Controls for demo, tests and measurements under ``/_sandbox/``: accounts, messages, faults, consent, counts.

They need no token: whoever reaches the sandbox's port owns it, which is why it binds to loopback.
"""

from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gda.errors import UsageError
from gda.sandbox.accounts import ACCESS_SECONDS, Account
from gda.sandbox.faults import fault_from
from gda.sandbox.generate import MailPlan
from gda.sandbox.state import Sandbox

Action = Callable[[Sandbox, dict[str, Any]], dict[str, Any]]
MAX_DUPLICATES_LISTED = 1000


def control_routes(sandbox: Sandbox) -> list[Route]:
    """Return the control routes over one sandbox's state."""
    reads: dict[str, Action] = {"accounts": list_accounts, "faults": list_faults, "stats": stats, "health": health}
    reads["notices"] = list_notices
    writes: dict[str, Action] = {
        "accounts": open_accounts,
        "messages": add_messages,
        "faults": change_faults,
        "events": change_events,
        "revoke": revoke,
        "restore": restore,
        "unsubscribe": unsubscribe,
    }
    return [
        *(Route(f"/_sandbox/{name}", _endpoint(sandbox, action), methods=["GET"]) for name, action in reads.items()),
        *(Route(f"/_sandbox/{name}", _endpoint(sandbox, action), methods=["POST"]) for name, action in writes.items()),
    ]


def open_accounts(sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
    """Open the accounts listed in ``accounts``: ``email`` and one of ``mail``, ``samples``, ``generate``.

    With ``access_token`` true the answer also holds a live token and its expiry (``expires_in`` seconds, default 3600).
    An account that exists is left as it is.
    """
    return {"accounts": [_open(sandbox, values) for values in _items(body, "accounts")]}


def list_accounts(sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
    """List every account with its number of messages."""
    return {"accounts": [_described(account) for account in sandbox.accounts.all()]}


def add_messages(sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
    """Put mail into mailboxes now: ``email`` and ``raw`` (base64url), or a list of such as ``messages``."""
    items = _items(body, "messages") if "messages" in body else [body]
    mails = [(_account(sandbox, each), _raw(each)) for each in items]
    added = [sandbox.add_message(account, raw) for account, raw in mails]
    return {"messages": [{"id": message.id, "threadId": message.thread_id} for message in added]}


def change_events(sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
    """Change a calendar of ``email`` as a person would: one change, or a list of such as ``changes``.

    What a change may be stands at ``SandboxCalendar.change``; ``calendar`` names another than the account's own.
    """
    account = _account(sandbox, body)
    items = _items(body, "changes") if "changes" in body else [body]
    return {"events": [sandbox.change_calendar(account, each) for each in items]}


def change_faults(sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
    """Clear, then set faults: ``clear`` is true, or a list of numbers and kinds; ``set`` a list of faults."""
    faults = [fault_from(values) for values in _items(body, "set")] if "set" in body else []
    clear = body.get("clear", [])
    if not (clear is True or (isinstance(clear, list) and all(isinstance(each, int | str) for each in clear))):
        raise UsageError(f"clear is {clear!r}; give true, or a list of numbers and kinds of faults")
    if clear:
        sandbox.faults.clear(*(() if clear is True else clear))
    for fault in faults:
        sandbox.faults.switch_on(fault)
    return list_faults(sandbox, body)


def list_faults(sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
    """List the faults that are on, with how often each struck."""
    return {"faults": sandbox.faults.listing()}


def stats(sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
    """Count requests by end point, refreshes, accepted mail, and occurrences that were accepted more than once."""
    duplicates = sandbox.accepted.duplicates()
    channels = [message.channel for message in sandbox.accepted.find()]
    return {
        "requests": dict(sandbox.requests),
        "refreshed": len(sandbox.refreshes),
        "refreshes": sandbox.refreshes.total(),
        "accounts": len(sandbox.accounts),
        "accepted": len(channels),
        "smtp_accepted": channels.count("smtp"),
        "gmail_accepted": channels.count("gmail"),
        "duplicate_occurrences": len(duplicates),
        "duplicates": dict(sorted(duplicates.items())[:MAX_DUPLICATES_LISTED]),
    }


def list_notices(sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
    """List what the chat and the push sink took, the oldest first; a push is encrypted, and shown in base64url."""
    return sandbox.notices.as_json()


def unsubscribe(sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
    """Let the browser ``name`` withdraw its push subscription: ``/push/<name>`` is gone from now on."""
    name = _text(body, "name") or ""
    sandbox.notices.gone.add(name)
    return {"gone": sorted(sandbox.notices.gone)}


def revoke(sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
    """Withdraw an account's consent: its tokens stop working at once."""
    account = _account(sandbox, body)
    sandbox.set_revoked(account, True)
    return _described(account)


def restore(sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
    """Grant consent again: the refresh token works as before."""
    account = _account(sandbox, body)
    sandbox.set_revoked(account, False)
    return {**_described(account), "refresh_token": account.refresh_token}


def health(sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
    """Say that the sandbox answers."""
    return {"status": "ok", "accounts": len(sandbox.accounts), "accepted": len(sandbox.accepted)}


def _endpoint(sandbox: Sandbox, action: Action) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            body = _parsed(await request.body())
            return _json(action(sandbox, body))
        except UsageError as error:
            return _json({"error": {"code": 400, "message": str(error)}}, 400)

    return answer


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise UsageError(f"the request's body is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError("the request's body must be a JSON object")
    return value


def _open(sandbox: Sandbox, values: dict[str, Any]) -> dict[str, Any]:
    account = sandbox.open_account(
        _text(values, "email") or "",
        mail=_text(values, "mail"),
        samples=_text(values, "samples"),
        generate=_plan(values.get("generate")),
    )
    opened: dict[str, Any] = {"email": account.email, "refresh_token": account.refresh_token}
    if values.get("access_token"):
        seconds = values.get("expires_in", ACCESS_SECONDS)
        if type(seconds) is not int or seconds < 0:
            raise UsageError(f"expires_in is {seconds!r}; give whole seconds")
        now_ms = sandbox.now_ms
        opened["access_token"] = sandbox.accounts.issue_access_token(account, now_ms, seconds)
        opened["expires_at"] = now_ms // 1000 + seconds
    return opened


def _plan(values: object) -> MailPlan | None:
    if values is None:
        return None
    if not isinstance(values, dict) or not values.keys() <= set(MailPlan.__dataclass_fields__):
        raise UsageError(f"generate may have {', '.join(MailPlan.__dataclass_fields__)} and nothing else")
    return MailPlan(**values)


def _described(account: Account) -> dict[str, Any]:
    return {"email": account.email, "messages": len(account.mailbox), "revoked": account.revoked}


def _account(sandbox: Sandbox, body: dict[str, Any]) -> Account:
    email = _text(body, "email") or ""
    account = sandbox.accounts.by_email(email)
    if account is None:
        raise UsageError(f"the sandbox has no account {email!r}; open it with POST /_sandbox/accounts")
    return account


def _raw(body: dict[str, Any]) -> bytes:
    encoded = (_text(body, "raw") or "").replace("+", "-").replace("/", "_")
    try:
        return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (Base64Error, ValueError) as error:
        raise UsageError("raw must be a whole mail in base64url") from error


def _items(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items = body.get(name)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise UsageError(f"the request's body must hold {name!r}, a list of objects")
    return items


def _text(values: dict[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{name} is {value!r}; give text")
    return value


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
