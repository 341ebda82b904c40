"""A running sandbox for tests: in this process, or as a child process."""

import asyncio
import sys
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from gda.sandbox import Sandbox, SandboxOptions, running

READY_SECONDS = 30


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox in this process; ``sandbox`` is its live state."""

    http: str
    smtp_port: int
    sandbox: Sandbox

    def bearer(self, email: str) -> dict[str, str]:
        """Return the header that opens the account's mailbox for an hour."""
        account = self.sandbox.accounts.by_email(email)
        assert account is not None, f"no account {email}"
        token = self.sandbox.accounts.issue_access_token(account, self.sandbox.now_ms)
        return {"authorization": f"Bearer {token}"}


@dataclass(frozen=True, slots=True)
class SpawnedSandbox:
    """A sandbox in a child process."""

    http: str
    smtp_port: int
    process: asyncio.subprocess.Process

    async def control(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post to one of the sandbox's controls and return its answer."""
        async with httpx.AsyncClient(base_url=self.http, trust_env=False) as client:
            response = await client.post(f"/_sandbox/{name}", json=body)
            response.raise_for_status()
            return dict(response.json())


@asynccontextmanager
async def running_sandbox(*, sandbox: Sandbox | None = None, **options: Any) -> AsyncIterator[RunningSandbox]:
    """Run a sandbox in this process on free ports; ``options`` are those of ``SandboxOptions``."""
    async with running(SandboxOptions(**options), sandbox) as (state, address):
        yield RunningSandbox(address.http, address.smtp_port, state)


@asynccontextmanager
async def spawned_sandbox(*arguments: str) -> AsyncIterator[SpawnedSandbox]:
    """Run a sandbox as a child process on free ports; ``arguments`` are those of ``python -m gda.sandbox``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gda.sandbox", *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), READY_SECONDS)
        address = orjson.loads(line)
        yield SpawnedSandbox(address["http"], address["smtp_port"], process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def encoded(raw: bytes) -> str:
    """Return a mail in base64url, as Gmail's API takes it."""
    return urlsafe_b64encode(raw).decode()


def plain_mail(
    subject: str,
    *,
    to: str = "ada@example.org",
    sender: str = "friend@example.net",
    message_id: str = "",
    body: str = "Hello.",
    **headers: str,
) -> bytes:
    """Build a small plain mail; further headers by keyword, underscores meaning hyphens."""
    lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}"]
    if message_id:
        lines.append(f"Message-ID: <{message_id}>")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", body, ""]).encode()
