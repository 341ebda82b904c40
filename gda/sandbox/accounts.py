"""Who has a sandbox mailbox, and which tokens open it."""

import secrets
from dataclasses import dataclass, field

from gda.sandbox.agenda import SandboxCalendar
from gda.sandbox.mailbox import Mailbox

ACCESS_SECONDS = 3600
SCOPE = " ".join(
    f"https://www.googleapis.com/auth/{name}" for name in ("gmail.readonly", "gmail.send", "calendar.readonly")
)


@dataclass(slots=True)
class Account:
    """One account; ``access`` maps live access tokens to their expiry in milliseconds since the epoch."""

    email: str
    refresh_token: str
    mailbox: Mailbox
    calendars: dict[str, SandboxCalendar] = field(default_factory=dict)
    revoked: bool = False
    access: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Code:
    """What a code may be exchanged for: until ``expires_ms`` (since the epoch), by whoever has the verifier."""

    account: Account
    redirect_uri: str
    challenge: str
    method: str
    scope: str
    expires_ms: int


class Accounts:
    """All accounts, found by address or by token; addresses count in lower case."""

    def __init__(self) -> None:
        self._by_email: dict[str, Account] = {}
        self._by_refresh: dict[str, Account] = {}
        self._by_access: dict[str, Account] = {}
        self.codes: dict[str, Code] = {}

    def __len__(self) -> int:
        return len(self._by_email)

    def all(self) -> list[Account]:
        return list(self._by_email.values())

    def by_email(self, email: str) -> Account | None:
        return self._by_email.get(email.strip().lower())

    def add(self, email: str, refresh_token: str | None = None) -> Account:
        """Open an account with an empty mailbox; ``refresh_token`` None: draw one."""
        email = email.strip().lower()
        token = refresh_token or f"1//sandbox-{secrets.token_urlsafe(24)}"
        account = Account(email, token, Mailbox(email))
        account.calendars[email] = SandboxCalendar(email, email, "UTC", primary=True)
        self._by_email[email] = account
        self._by_refresh[token] = account
        return account

    def calendar(self, account: Account, name: str) -> SandboxCalendar | None:
        """Return the account's calendar of that id; ``primary`` is the one that it came with."""
        return account.calendars.get(account.email if name == "primary" else name)

    def by_refresh_token(self, token: str) -> Account | None:
        """Return the account that the refresh token opens; None when it is unknown or revoked."""
        account = self._by_refresh.get(token)
        return None if account is None or account.revoked else account

    def issue_access_token(self, account: Account, now_ms: int, seconds: int = ACCESS_SECONDS) -> str:
        """Draw an access token that lasts ``seconds`` from ``now_ms``, and forget the account's expired ones."""
        for token in [token for token, expiry in account.access.items() if expiry <= now_ms]:
            del account.access[token], self._by_access[token]
        token = f"ya29.sandbox-{secrets.token_urlsafe(24)}"
        account.access[token] = now_ms + seconds * 1000
        self._by_access[token] = account
        return token

    def by_access_token(self, token: str, now_ms: int) -> Account | None:
        """Return the account that the access token opens at ``now_ms``; None when unknown, expired or revoked."""
        account = self._by_access.get(token)
        return account if account is not None and account.access[token] > now_ms else None

    def revoke(self, account: Account) -> None:
        """Withdraw consent: the refresh token answers ``invalid_grant`` and access tokens stop at once."""
        account.revoked = True
        for token in account.access:
            del self._by_access[token]
        account.access.clear()

    def restore(self, account: Account) -> None:
        """Grant consent again: the same refresh token works as before."""
        account.revoked = False
