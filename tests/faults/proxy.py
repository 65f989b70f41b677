"""A TCP proxy that does to connections what networks do: it delays, slows, resets, and falls silent."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any

CHUNK = 1 << 16
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on `port` (0: a free one) and forwards to `target`; faults are attributes, set at any time.

    Attributes:
        latency_s: Every chunk is delayed by so much, each way.
        bytes_per_s: None for as fast as it goes.
        refusing: New connections are closed at once.
        forwarded: Bytes from the target so far.
    """

    def __init__(self, target: tuple[str, int], port: int = 0) -> None:
        self.latency_s = 0.0
        self.bytes_per_s: float | None = None
        self.refusing = False
        self.forwarded = 0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._connected, "127.0.0.1", port))
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def stall(self) -> None:
        """Half-open: connections stay, and new ones are taken, but no byte arrives any more."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def reset(self) -> None:
        """Every connection breaks off with RST."""
        self._loop.call_soon_threadsafe(self._abort)

    def heal(self) -> None:
        """No faults any more."""
        self.latency_s, self.bytes_per_s, self.refusing = 0.0, None, False
        self._loop.call_soon_threadsafe(self._flowing.set)

    def close(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _abort(self) -> None:
        for writer in list(self._writers):
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE
                )
            writer.transport.abort()

    async def _close(self) -> None:
        self._server.close()
        self._abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            await self._forward_both(reader, writer)
        except OSError:
            writer.transport.abort()
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)

    async def _forward_both(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(*self._target)
        ours = {writer, back}
        self._writers |= ours
        try:
            await self._both_ways((reader, writer), (there, back))
        finally:
            self._writers -= ours
            for end in ours:
                end.transport.abort()

    async def _both_ways(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        target: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        await asyncio.gather(
            self._forward(client[0], target[1]), self._forward(target[0], client[1], count=True)
        )

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, count: bool = False
    ) -> None:
        while True:
            size = CHUNK if self.bytes_per_s is None else max(int(self.bytes_per_s / 10), 1)
            data = await reader.read(size)
            await self._flowing.wait()
            if self.latency_s:
                await asyncio.sleep(self.latency_s)
            if self.bytes_per_s is not None:
                await asyncio.sleep(len(data) / self.bytes_per_s)
            if not data:
                raise ConnectionError("the other end closed")
            writer.write(data)
            await writer.drain()
            self.forwarded += len(data) if count else 0
