"""A TCP proxy on loopback that a test can shut: bytes wait until it is opened again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Gate:
    """``port`` leads to the target while the gate is open; ``waiting`` tells that somebody stands before a shut one."""

    port: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    def shut(self) -> None:
        """Let nothing more through."""
        self.waiting.clear()
        self.opened.clear()

    def open(self) -> None:
        """Let everything through."""
        self.opened.set()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes one way until either side closes."""
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        with suppress(ConnectionError):
            writer.close()


@asynccontextmanager
async def a_gate(target_port: int) -> AsyncIterator[Gate]:
    """Open a gate to ``127.0.0.1:target_port``; a connection made while it is shut waits without a greeting."""
    gate = Gate()
    gate.open()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not gate.opened.is_set():
            gate.waiting.set()
            await gate.opened.wait()
        with suppress(OSError):
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", target_port)
            async with asyncio.TaskGroup() as group:
                group.create_task(gate.pass_on(reader, there_writer))
                group.create_task(gate.pass_on(there_reader, writer))

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(connected(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(start, "127.0.0.1", 0)
    gate.port = server.sockets[0].getsockname()[1]
    try:
        yield gate
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
