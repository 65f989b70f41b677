"""The requests that are answered, by `openapi.json`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from modeltrail_collector.errors import Unavailable
from modeltrail_collector.model import Reason, Verdict
from modeltrail_collector.web.answering import answering
from modeltrail_collector.web.body import AGAIN, body_of
from modeltrail_collector.web.commit import Committer, Failure
from modeltrail_collector.web.examine import examine, examine_batch
from modeltrail_collector.web.refusal import Refusal
from modeltrail_collector.web.status import ServeStatus
from modeltrail_collector.web.tokens import Gate, Grant
from modeltrail_schemas import openapi

_LONG_BYTES: Final = 64 << 10
"""From here on a body is looked at in a thread: others go on meanwhile."""

_JSON: Final = "application/json"
_REJECTED: Final = "this event breaks OpenLineage's schema; the log keeps it as one that is rejected"
T = TypeVar("T")


def application(
    committer: Committer,
    gate: Gate,
    status: ServeStatus,
    ready: Callable[[], None],
    reading: Sequence[BaseRoute],
) -> Starlette:
    """The server's application; `ready` is called once it takes events, `reading` answers questions."""
    ingest = _Ingest(committer, gate, status)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        committer.start()
        ready()
        try:
            yield
        finally:
            await asyncio.to_thread(committer.close)

    async def health(_: Request) -> Response:
        return _answer(503, {"status": "failing"}) if status.is_failing else _answer(200, {"status": "ok"})

    async def description(_: Request) -> Response:
        return Response(openapi(), media_type=_JSON)

    return Starlette(
        routes=[
            Route("/api/v1/lineage", answering(ingest.one, status, _refused), methods=["POST"]),
            Route("/api/v1/lineage/batch", answering(ingest.many, status, _refused), methods=["POST"]),
            *reading,
            Route("/healthz", health),
            Route("/openapi.json", description),
        ],
        exception_handlers={HTTPException: _no_such},
        lifespan=lifespan,
    )


class _Ingest:
    def __init__(self, committer: Committer, gate: Gate, status: ServeStatus) -> None:
        self._committer = committer
        self._gate = gate
        self._status = status

    async def one(self, request: Request) -> Response:
        """`POST /api/v1/lineage`."""
        grant = self._admit(request)
        async with body_of(request, self._status) as value:
            verdict = await _looked_at(examine, value, grant)
            (failure,) = await self._keep([value])
        if failure:
            raise Refusal(413, failure)
        self._count(verdict)
        if verdict.verdict == "rejected":
            raise Refusal(422, _REJECTED, reasons=verdict.reasons, kept=True)
        return _answer(201, {"verdict": verdict.verdict, "reasons": verdict.reasons})

    async def many(self, request: Request) -> Response:
        """`POST /api/v1/lineage/batch`."""
        grant = self._admit(request)
        async with body_of(request, self._status) as body:
            examined = await _looked_at(examine_batch, body, grant)
            kept = [(at, found) for at, (_, found) in enumerate(examined) if isinstance(found, Verdict)]
            failures = await self._keep([examined[at][0] for at, _ in kept]) if kept else []
        failed = {at: found.why for at, (_, found) in enumerate(examined) if isinstance(found, Refusal)}
        for (at, verdict), failure in zip(kept, failures, strict=True):
            if failure:
                failed[at] = failure
                continue
            self._count(verdict)
            if verdict.verdict == "rejected":
                failed[at] = Refusal(422, _REJECTED, reasons=verdict.reasons).why
        return _batch_answer(len(examined), failed)

    def _admit(self, request: Request) -> Grant:
        return self._gate.admit(request.headers.get("authorization"), "ingest")

    async def _keep(self, values: Sequence[bytes]) -> Sequence[Failure | None]:
        try:
            return await self._committer.commit(values)
        except Unavailable:  # what it says of our disk or broker is for our own log
            raise Refusal(503, "nothing can be kept now: send it again", headers=AGAIN) from None

    def _count(self, verdict: Verdict) -> None:
        self._status.events[verdict.verdict] += 1


async def _looked_at(look: Callable[[bytes, Grant], T], body: bytes, grant: Grant) -> T:
    return await asyncio.to_thread(look, body, grant) if len(body) > _LONG_BYTES else look(body, grant)


def _batch_answer(received: int, failed: dict[int, str]) -> Response:
    if not failed:
        return Response(status_code=204)
    count = len(failed)
    summary = {"received": received, "successful": received - count, "failed": count}
    events = [{"index": at, "reason": why, "retriable": False} for at, why in sorted(failed.items())]
    return _answer(
        200,
        {
            "status": "partial_success",
            "summary": summary | {"retriable": 0, "non_retriable": count},
            "failed_events": events,
        },
    )


def _answer(status: int, body: object) -> Response:
    return Response(msgspec.json.encode(body), status, media_type=_JSON)


def _refused(refusal: Refusal) -> Response:
    reasons: Sequence[Reason] = refusal.reasons
    response = _answer(refusal.status, {"error": refusal.error, "kept": refusal.kept, "reasons": reasons})
    response.headers.update(refusal.headers or {})
    return response


async def _no_such(request: Request, error: Exception) -> Response:
    """No such path, or not by this method: what there is stands in the description."""
    assert isinstance(error, HTTPException)  # noqa: S101  registered for it
    what = f"{error.detail}: {request.method} {request.url.path}; /openapi.json lists what there is"
    return _refused(Refusal(error.status_code, what, headers=error.headers))
