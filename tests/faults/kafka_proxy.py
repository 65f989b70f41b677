"""A proxy that understands what it forwards: it answers for the broker with errors that a test chooses."""

import asyncio
import io
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import kafka  # noqa: F401  it registers the classes of all answers
from faults.proxy import Proxy
from kafka.protocol.api_header import ResponseClassRegistry
from kafka.protocol.api_key import ApiKey
from kafka.protocol.data_container import DataContainer

Plan = Callable[[str], int | None]
"""From an API's name to the error code that its answer says; None: what the broker said."""


class KafkaProxy(Proxy):
    """See `Proxy`. `plan` says which answers are errors, `answered` how many of each API were."""

    def __init__(self, target: tuple[str, int], port: int = 0) -> None:
        super().__init__(target, port)
        self.plan: Plan = lambda _: None
        self.answered: Counter[str] = Counter()

    def heal(self) -> None:
        super().heal()
        self.plan = lambda _: None

    async def _both_ways(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        target: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        asked: dict[int, tuple[int, int]] = {}
        await asyncio.gather(
            self._requests(client[0], target[1], asked), self._answers(target[0], client[1], asked)
        )

    async def _requests(self, reader, writer, asked: dict[int, tuple[int, int]]) -> None:
        while True:
            frame = await _frame(reader)
            key, version, number = struct.unpack(">hhi", frame[:8])
            asked[number] = key, version
            await _send(writer, frame)

    async def _answers(self, reader, writer, asked: dict[int, tuple[int, int]]) -> None:
        while True:
            frame = await _frame(reader)
            key, version = asked.pop(struct.unpack(">i", frame[:4])[0])
            name = ApiKey(key).name
            code = self.plan(name)
            if code is not None:
                self.answered[name] += 1
                frame = _with_error(frame, key, version, code)
            await _send(writer, frame)


async def _frame(reader: asyncio.StreamReader) -> bytes:
    try:
        (size,) = struct.unpack(">i", await reader.readexactly(4))
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError as error:
        raise ConnectionError("the other end closed") from error


async def _send(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(struct.pack(">i", len(frame)) + frame)
    await writer.drain()


def _with_error(frame: bytes, key: int, version: int, code: int) -> bytes:
    """The same answer with this error wherever it can say one, and without records."""
    known = ResponseClassRegistry._response_class_registry[key][version]
    header = io.BytesIO(frame)
    known.parse_header(header)
    begin = header.tell()
    answer = known.decode(frame[begin:])
    for part in _parts(answer):
        if hasattr(part, "error_code"):
            part.error_code = code
            if hasattr(part, "records"):
                part.records = None
    return frame[:begin] + bytes(answer.encode())


def _parts(value: Any) -> Iterator[DataContainer]:
    """All structures in an answer."""
    if isinstance(value, DataContainer):
        yield value
        for field in value.fields:
            yield from _parts(getattr(value, field, None))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _parts(each)
