"""What makes a sandbox outlive a restart: one append-only file of events, and each mail as a file beside it.

Access tokens are not kept: after a restart they answer 401, and a client refreshes them as it would at Google.
"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from gda.errors import Unavailable
from gda.sandbox.accepted import Accepted
from gda.sandbox.accounts import Account
from gda.sandbox.generate import MailPlan

if TYPE_CHECKING:
    from gda.sandbox.state import Sandbox


class Journal:
    """The events of one sandbox in a folder: ``journal.jsonl`` and ``mail/*.eml``.

    Args:
        folder: made when absent.

    Raises:
        Unavailable: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._mail = folder / "mail"
        self._replaying = False
        self._files = 0
        try:
            self._mail.mkdir(parents=True, exist_ok=True)
            self._lines = (folder / "journal.jsonl").open("a+b")
        except OSError as error:
            raise Unavailable(f"the sandbox cannot keep its data in {folder}: {error.strerror}") from error

    def close(self) -> None:
        self._lines.close()

    def replay(self, sandbox: "Sandbox") -> None:
        """Do again what the journal says; a half-written last line (the process died) is passed over."""
        self._replaying = True
        self._lines.seek(0)
        for line in self._lines:
            try:
                event = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            self._do(sandbox, event)
        self._replaying = False

    def account(self, account: Account, loaded_ms: int, **source: Any) -> None:
        """Note a new account and where its first mail came from."""
        if isinstance(source.get("generate"), MailPlan):
            source["generate"] = asdict(source["generate"])
        self._write(
            {
                "event": "account",
                "email": account.email,
                "refresh_token": account.refresh_token,
                "loaded_ms": loaded_ms,
                **source,
            }
        )

    def added(self, email: str, raw: bytes, time_ms: int) -> None:
        """Note a message that came from outside."""
        self._write({"event": "added", "email": email, "time_ms": time_ms}, raw)

    def accepted(self, message: Accepted, sent_by: str | None) -> None:
        """Note a message that the sink accepted."""
        self._write(
            {
                "event": "accepted",
                "time_ms": message.time_ms,
                "sender": message.sender,
                "recipients": message.recipients,
                "channel": message.channel,
                "delivered_message_id": message.delivered_message_id,
                "sent_by": sent_by,
            },
            message.content.raw,
        )

    def revoked(self, email: str, revoked: bool) -> None:
        """Note that consent was withdrawn or granted again."""
        self._write({"event": "revoked", "email": email, "revoked": revoked})

    def calendar(self, email: str, change: dict[str, Any], time_ms: int) -> None:
        """Note what was done to a calendar."""
        self._write({"event": "calendar", "email": email, "change": change, "time_ms": time_ms})

    def _write(self, event: dict[str, Any], raw: bytes | None = None) -> None:
        if raw is not None:
            self._files += 1
            if not self._replaying:
                (self._mail / f"{self._files:08}.eml").write_bytes(raw)
            event["file"] = self._files
        if not self._replaying:
            self._lines.write(orjson.dumps(event) + b"\n")
            self._lines.flush()

    def _do(self, sandbox: "Sandbox", event: dict[str, Any]) -> None:
        kind = event.pop("event")
        if kind == "account":
            if event.get("generate"):
                event["generate"] = MailPlan(**event["generate"])
            sandbox.open_account(**event)
            return
        if kind == "accepted":
            sent_by = sandbox.accounts.by_email(event.pop("sent_by") or "")
            sandbox.accept(self._read(event.pop("file")), sent_by=sent_by, **event)
            return
        account = sandbox.accounts.by_email(event["email"])
        if account is not None and kind == "added":
            sandbox.add_message(account, self._read(event["file"]), time_ms=event["time_ms"])
        elif account is not None and kind == "revoked":
            sandbox.set_revoked(account, event["revoked"])
        elif account is not None and kind == "calendar":
            sandbox.change_calendar(account, event["change"], time_ms=event["time_ms"])

    def _read(self, number: int) -> bytes:
        self._files = number - 1
        return (self._mail / f"{number:08}.eml").read_bytes()
