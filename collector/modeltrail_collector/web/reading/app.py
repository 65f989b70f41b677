"""The application below `/api/v1` that answers GET."""

import logging
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from modeltrail_collector.answers import Database
from modeltrail_collector.errors import CollectorError, ConfigError, NotFound
from modeltrail_collector.web.body import AGAIN
from modeltrail_collector.web.reading.asked import QUESTIONS, Question, is_about_now, then
from modeltrail_collector.web.reading.look import LOOKS, Look
from modeltrail_collector.web.reading.query import Query
from modeltrail_collector.web.reading.readers import Readers
from modeltrail_collector.web.reading.seen import Seen
from modeltrail_collector.web.refusal import Refusal
from modeltrail_collector.web.status import ServeStatus
from modeltrail_collector.web.tokens import Gate

_logger = logging.getLogger(__name__)

_FROM_THE_LOG: Final = (
    "HTTP 405 Method Not Allowed: everything here is derived from the log; send events instead"
)
Answer = tuple[str | None, bytes | None]
"""The tag, if any, and the body; None where who asks has it already."""


def application(log_uri: str, gate: Gate, status: ServeStatus) -> ASGIApp:
    """What answers below `/api/v1`, about the log at `log_uri`."""
    reading = _Reading(Readers(log_uri), gate)

    def counted(
        handler: Callable[[Request], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                response = await handler(request)
            except Refusal as refusal:
                response = _refused(refusal)
            status.requests[response.status_code] += 1
            return response

        return answer

    routes = [Route(path, counted(reading.looking(look))) for path, look in LOOKS.items()]
    routes += [Route(f"/answers/{name}", counted(reading.asking(one))) for name, one in QUESTIONS.items()]
    found = Starlette(routes=routes, exception_handlers={HTTPException: _no_such})
    found.router.redirect_slashes = False
    return _as_sent(found)


def _as_sent(app: ASGIApp) -> ASGIApp:
    """The application with paths as they were sent: a name in a path may hold an encoded slash."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "path": scope["raw_path"].decode("latin-1")}, receive, send)

    return answer


class _Reading:
    def __init__(self, readers: Readers, gate: Gate) -> None:
        self._readers = readers
        self._gate = gate

    def looking(self, look: Look) -> Callable[[Request], Awaitable[Response]]:
        """A handler that shows what a token may see."""

        async def handler(request: Request) -> Response:
            namespaces = self._admit(request)
            path = {name: unquote(value) for name, value in request.path_params.items()}
            query = Query(request.query_params)

            def ask(seen: Seen) -> Answer:
                tag = _tag(seen.refresh(), request, namespaces)
                return tag, None if _has(request, tag) else msgspec.json.encode(look(seen, path, query))

            return _answered(*await _told(self._readers.see(namespaces, ask)))

        return handler

    def asking(self, question: Question) -> Callable[[Request], Awaitable[Response]]:
        """A handler that answers as the command line does."""

        async def handler(request: Request) -> Response:
            if self._admit(request) is not None:
                raise Refusal(403, "answers walk through all namespaces: the token is limited to some")
            query = Query(request.query_params)
            query.only(question.parameters)

            def ask(db: Database) -> Answer:
                tag = _tag(db.version(), request, None) if is_about_now(query) else None
                if _has(request, tag):
                    return tag, None
                with then(db, self._readers.log_uri, query) as asked:
                    return tag, msgspec.json.encode(question.ask(asked, query))

            return _answered(*await _told(self._readers.ask(ask)))

        return handler

    def _admit(self, request: Request) -> frozenset[str] | None:
        """The namespaces that may be seen; None is all."""
        return self._gate.admit(request.headers.get("authorization"), "read").namespaces


async def _told(answer: Awaitable[Answer]) -> Answer:
    """An answer, our errors as refusals."""
    try:
        return await answer
    except NotFound as error:
        raise Refusal(404, str(error)) from error
    except ConfigError as error:
        raise Refusal(400, str(error)) from error
    except CollectorError as error:  # what it says of our disk or store is for our own log
        _logger.warning("cannot answer: %s", error)
        raise Refusal(503, "the tables cannot be read now: ask again", headers=AGAIN) from None


def _tag(version: str, request: Request, namespaces: frozenset[str] | None) -> str:
    """What is another as soon as the answer may be: made of the tables' versions and all that is asked."""
    asked = repr((version, request.url.path, request.url.query, namespaces and sorted(namespaces)))
    return f'W/"{sha256(asked.encode("utf-8", "replace")).hexdigest()[:32]}"'


def _has(request: Request, tag: str | None) -> bool:
    known = request.headers.get("if-none-match", "")
    return tag is not None and tag in {one.strip() for one in known.split(",")}


def _answered(tag: str | None, body: bytes | None) -> Response:
    headers = {"Cache-Control": "private, no-cache", "Vary": "Authorization"} | ({"ETag": tag} if tag else {})
    if body is None:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def _refused(refusal: Refusal) -> Response:
    body: dict[str, Any] = {"code": refusal.status, "message": refusal.error}
    response = Response(msgspec.json.encode(body), refusal.status, media_type="application/json")
    response.headers.update(refusal.headers or {})
    return response


async def _no_such(_: Request, error: Exception) -> Response:
    """No such path, or not by this method."""
    assert isinstance(error, HTTPException)  # noqa: S101  registered for it
    message = _FROM_THE_LOG if error.status_code == 405 else f"HTTP {error.status_code} {error.detail}"
    return _refused(Refusal(error.status_code, message, headers=error.headers))
