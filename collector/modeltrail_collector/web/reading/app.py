"""The requests that are answered from the tables, by `openapi.json`."""

import logging
from collections.abc import Awaitable
from datetime import date
from hashlib import sha256
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from modeltrail_collector.answers import Database
from modeltrail_collector.errors import CollectorError, ConfigError, NotFound
from modeltrail_collector.tables import forgotten_before
from modeltrail_collector.web.answering import Handler, answering
from modeltrail_collector.web.body import AGAIN
from modeltrail_collector.web.reading.asked import QUESTIONS, Document, Question, is_about_now, then
from modeltrail_collector.web.reading.look import LOOKS, WRITES, Look
from modeltrail_collector.web.reading.query import Query
from modeltrail_collector.web.reading.readers import Readers
from modeltrail_collector.web.reading.seen import Seen
from modeltrail_collector.web.refusal import Refusal
from modeltrail_collector.web.status import ServeStatus
from modeltrail_collector.web.tokens import Gate

_logger = logging.getLogger(__name__)

_READS: Final = ("GET", "HEAD")
_FORGOTTEN: Final = "Modeltrail-Forgotten-Before"
_FROM_THE_LOG: Final = "nothing can be written here, all is derived from the log: send events instead"


class Answer(NamedTuple):
    """The tag, if any, the body, None where who asks has it already, and what that is.

    `forgotten` is the day before which the tables forgot runs that the answer may lack.
    """

    tag: str | None
    body: bytes | None
    media_type: str = "application/json"
    forgotten: date | None = None


def routes(log_uri: str, gate: Gate, status: ServeStatus) -> list[BaseRoute]:
    """The routes to all that is answered about the log at `log_uri`."""
    reading = _Reading(Readers(log_uri), gate)
    handlers = {path: reading.looking(look) for path, look in LOOKS.items()}
    handlers |= dict.fromkeys(WRITES, reading.refusing)
    handlers |= {f"/answers/{name}": reading.asking(question) for name, question in QUESTIONS.items()}
    methods = [*_READS, "POST", "PUT", "PATCH", "DELETE"]
    return [
        _AsSent(f"/api/v1{path}", answering(handler, status, _refused), methods=methods)
        for path, handler in handlers.items()
    ]


class _AsSent(Route):
    """A route by the path as it was sent: a name in it may hold an encoded slash."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches({**scope, "path": scope.get("raw_path", b"").decode("latin-1")})


class _Reading:
    def __init__(self, readers: Readers, gate: Gate) -> None:
        self._readers = readers
        self._gate = gate

    async def refusing(self, _: Request) -> Response:
        """A handler of what only writes."""
        raise Refusal(405, _FROM_THE_LOG, headers={"Allow": ""})

    def looking(self, look: Look) -> Handler:
        """A handler that shows what a token may see."""

        async def handler(request: Request) -> Response:
            namespaces = self._admit(request)
            path = {name: unquote(value) for name, value in request.path_params.items()}
            query = Query(request.query_params)

            def ask(seen: Seen) -> Answer:
                version = seen.refresh()
                is_relative = any(query.text(name) for name in ("before", "after"))  # `7d` is so each day
                tag = None if is_relative else _tag(version, request, namespaces)
                body = None if _has(request, tag) else msgspec.json.encode(look(seen, path, query))
                return Answer(tag, body)

            return _answered(await _told(self._readers.see(namespaces, ask)))

        return handler

    def asking(self, question: Question) -> Handler:
        """A handler that answers as the command line does."""

        async def handler(request: Request) -> Response:
            if self._admit(request) is not None:
                raise Refusal(403, "answers walk through all namespaces: the token is limited to some")
            query = Query(request.query_params)
            query.only(question.parameters)

            def ask(db: Database) -> Answer:
                tag = _tag(db.version(), request, None) if is_about_now(query) else None
                if _has(request, tag):
                    return Answer(tag, None)
                with then(db, self._readers.log_uri, query) as asked:
                    found = _asked(question, asked, query)
                if isinstance(found, Document):
                    return Answer(None, found.text.encode(), found.media_type)
                forgotten = forgotten_before(db.log) if question.is_far_back else None
                return Answer(tag, msgspec.json.encode(found), forgotten=forgotten)

            return _answered(await _told(self._readers.ask(ask)))

        return handler

    def _admit(self, request: Request) -> frozenset[str] | None:
        """The namespaces that may be seen; None is all."""
        if request.method not in _READS:
            raise Refusal(405, _FROM_THE_LOG, headers={"Allow": ", ".join(_READS)})
        return self._gate.admit(request.headers.get("authorization"), "read").namespaces


def _asked(question: Question, db: Database, query: Query) -> object:
    """The answer; what is not found may have been forgotten, which is said as the command line does."""
    try:
        return question.ask(db, query)
    except NotFound as error:
        day = forgotten_before(db.log)
        forgotten = f" What arrived before {day} was forgotten, but for models in use." if day else ""
        raise NotFound(f"{error}{forgotten}") from error


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


def _answered(answer: Answer) -> Response:
    headers = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}
    headers |= {"ETag": answer.tag} if answer.tag else {}
    if answer.body is None:
        return Response(status_code=304, headers=headers)
    headers |= {_FORGOTTEN: answer.forgotten.isoformat()} if answer.forgotten else {}
    headers["X-Content-Type-Options"] = "nosniff"  # names in a report come from strangers
    return Response(answer.body, media_type=answer.media_type, headers=headers)


def _refused(refusal: Refusal) -> Response:
    body: dict[str, Any] = {"code": refusal.status, "message": refusal.error}
    response = Response(msgspec.json.encode(body), refusal.status, media_type="application/json")
    response.headers.update(refusal.headers or {})
    return response
