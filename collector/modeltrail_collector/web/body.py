"""The bytes of a request: of the right kind, unpacked, and never more than there is room for."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from starlette.requests import ClientDisconnect, Request

from modeltrail_collector import judge
from modeltrail_collector.web.refusal import Refusal
from modeltrail_collector.web.status import ServeStatus

MAX_BYTES: Final = judge.MAX_BYTES
"""Of a body as it comes, and of what it becomes when it is unpacked: as much as the judge looks into."""

MAX_WAITING_BYTES: Final = 256 << 20
"""Of all requests together."""

BODY_S: Final = 30.0
"""So long may a body take to come."""

AGAIN: Final = {"Retry-After": "1"}
_TOO_LARGE: Final = f"the body has more than {MAX_BYTES} bytes"


@asynccontextmanager
async def body_of(request: Request, status: ServeStatus) -> AsyncIterator[bytes]:
    """The body of a request, unpacked; what it takes of the room is counted as long as the block runs.

    Raises:
        Refusal: It is of another kind, too large, too slow, or there is no room for it now.
    """
    encoding = _checked(request.headers)
    taken = 0

    def take(size: int) -> None:
        nonlocal taken
        if status.waiting_bytes + size > MAX_WAITING_BYTES:
            raise Refusal(503, "too much is under way: send it again", headers=AGAIN)
        status.waiting_bytes += size
        taken += size

    try:
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_S):
                async for chunk in request.stream():
                    take(len(chunk))
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise Refusal(413, _TOO_LARGE)
        except TimeoutError:
            raise Refusal(408, f"the body did not come within {BODY_S:.0f} s") from None
        except ClientDisconnect:
            raise Refusal(400, "the body ends too early") from None
        value = _unpacked(bytes(body)) if encoding == "gzip" else bytes(body)
        take(len(value))
        yield value
    finally:
        status.waiting_bytes -= taken


def _checked(headers: Mapping[str, str]) -> str:
    """The coding of a body of JSON.

    What a browser sends from another site without asking first is no `application/json`.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, f"the Content-Type is {kind[:100]!r}: send application/json")
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        error = f"the Content-Encoding is {encoding[:100]!r}: send gzip, or none"
        raise Refusal(415, error, headers={"Accept-Encoding": "gzip"})
    if _length(headers) > MAX_BYTES:
        raise Refusal(413, _TOO_LARGE)
    return encoding


def _length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isdecimal() else 0


def _unpacked(body: bytes) -> bytes:
    """One member of gzip, and never more of it than the limit."""
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        value = unpacker.decompress(body, MAX_BYTES + 1)
    except zlib.error:
        raise Refusal(400, "the body is no gzip, as its Content-Encoding says") from None
    if len(value) > MAX_BYTES:
        raise Refusal(413, f"{_TOO_LARGE} once it is unpacked")
    if not unpacker.eof or unpacker.unused_data:
        raise Refusal(400, "the body is not one whole member of gzip")
    return value
