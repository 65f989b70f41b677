"""Marquez's API over HTTP, on this machine only."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from modeltrail_collector.testing.fake_marquez import views
from modeltrail_collector.testing.fake_marquez.model import FailedError, Job, Model, Name, Run
from modeltrail_collector.testing.fake_marquez.reading import UnreadableError, complaints, parsed

_ROOT: Final = "/api/v1/"
_DEPTH: Final = "20"
_CLOSE_S: Final = 0.02


class Answer(NamedTuple):
    """A status and what is said; None is said with an empty body, a page is text."""

    status: int
    content: dict[str, Any] | str | None = None


class _NotFoundError(Exception):
    pass


class MarquezServer:
    """A running fake; `url` is what a client takes for a Marquez."""

    def __init__(self) -> None:
        self.url = ""
        self._model = Model()
        self._lock = threading.Lock()

    def answer(self, method: str, target: str, content_type: str, body: bytes) -> Answer:
        """Answer a request."""
        url = urlsplit(target)
        try:
            with self._lock:
                if url.path == f"{_ROOT}lineage" and method != "GET":
                    return self._take(method, content_type, body)
                return Answer(200, _shown(self._model, url.path, dict(parse_qsl(url.query))))
        except _NotFoundError as error:
            return _refusal(404, str(error))
        except FailedError as failed:
            return Answer(failed.status, _page(failed.status))

    def _take(self, method: str, content_type: str, body: bytes) -> Answer:
        if method != "POST":
            return _refusal(405, "HTTP 405 Method Not Allowed")
        if content_type.partition(";")[0].strip().lower() != "application/json":
            return _refusal(415, "HTTP 415 Unsupported Media Type")
        try:
            event = parsed(body)
            errors = complaints(event)
        except UnreadableError as error:
            return Answer(500, {"code": 400, "message": str(error)})
        if errors:
            return Answer(422, {"errors": errors})
        self._model.take(event)
        return Answer(201)


def _refusal(status: int, message: str) -> Answer:
    return Answer(status, {"code": status, "message": message})


def _page(status: int) -> str:
    return f"<html><head><title>Error {status} {HTTPStatus(status).phrase}</title></head></html>\n"


def _shown(model: Model, path: str, query: dict[str, str]) -> Any:
    match [unquote(part) for part in path.removeprefix(_ROOT).split("/")]:
        case ["namespaces"]:
            return {"namespaces": views.page("namespaces", views.namespaces(model), query)["namespaces"]}
        case ["namespaces", name, *rest]:
            if name not in model.namespaces:
                raise _NotFoundError(f"Namespace '{name}' not found.")
            return _in_namespace(model, name, rest, query)
        case ["jobs"]:
            return views.page("jobs", views.jobs(model, None), query)
        case ["jobs", "runs", identity]:
            return views.run_view(_run(model, identity))
        case ["jobs", "runs", identity, "facets"]:
            return views.run_facets(_run(model, identity), query.get("type"))
        case ["events", "lineage"]:
            return views.events(model, query)
        case ["lineage"]:
            return _graph(model, query)
        case ["sources"]:
            raise FailedError(500)  # its own source "default" has no URL
    raise _NotFoundError("HTTP 404 Not Found")


def _in_namespace(model: Model, namespace: str, parts: list[str], query: dict[str, str]) -> Any:
    match parts:
        case []:
            return views.namespace(model, namespace)
        case ["jobs"]:
            return views.page("jobs", views.jobs(model, namespace), query)
        case ["jobs", name]:
            return views.job_view(_job(model, (namespace, name)))
        case ["jobs", name, "runs"]:
            return views.page("runs", views.runs(_job(model, (namespace, name))), query)
        case ["datasets"]:
            return views.page("datasets", views.datasets(model, namespace), query)
        case ["datasets", name, *rest]:
            if (namespace, name) not in model.datasets:
                raise _NotFoundError(f"Dataset '{name}' not found.")
            return _of_dataset(model, (namespace, name), rest, query)
    raise _NotFoundError("HTTP 404 Not Found")


def _of_dataset(model: Model, name: Name, parts: list[str], query: dict[str, str]) -> Any:
    match parts:
        case []:
            return views.dataset_view(model, name)
        case ["versions"]:
            return views.page("versions", views.versions(model, name), query)
        case ["versions", version] if found := views.one_version(model, name, version):
            return found
    raise _NotFoundError("HTTP 404 Not Found")


def _job(model: Model, name: Name) -> Job:
    if name not in model.jobs:
        raise _NotFoundError(f"Job '{name[1]}' not found.")
    return model.jobs[name]


def _run(model: Model, identity: str) -> Run:
    if identity not in model.runs:
        raise _NotFoundError(f"Run '{identity}' not found.")
    return model.runs[identity]


def _graph(model: Model, query: dict[str, str]) -> Any:
    node = query.get("nodeId", "")
    of, _, name = node.partition(":")
    if of not in {"job", "dataset"}:
        raise _NotFoundError(f"Node '{node}' must be of type dataset or job")
    if of == "dataset" and "#" in node:
        raise FailedError(500)
    shown = views.lineage(model, node, int(query.get("depth", _DEPTH)))
    if shown is None:
        raise _NotFoundError(f"{of.capitalize()} '{name.rpartition(':')[2]}' not found.")
    return shown


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # a relay may connect many times at once


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # clients keep their connections, as with the real one
    wbufsize = -1  # head and body in one packet: as two, each answer takes 40 ms
    marquez: MarquezServer

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.marquez.answer(self.command, self.path, self.headers.get("Content-Type", ""), body)
        page = isinstance(answer.content, str)
        said = (
            answer.content
            if isinstance(answer.content, str)
            else json.dumps(answer.content, separators=(",", ":"))
        )
        content = b"" if answer.content is None else said.encode()
        self.send_response(answer.status)
        if content:
            self.send_header("Content-Type", "text/html;charset=iso-8859-1" if page else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _respond  # noqa: N815  http.server's own names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's own name
        """No line per request."""


@contextlib.contextmanager
def marquez() -> Iterator[MarquezServer]:
    """A Marquez of one's own within the block, empty, at `server.url`.

    It answers as Marquez 0.51.1 does to events and to the questions that a client browses with, and breaks as
    it does: what is refused, what stays of it, and which lists are then unreadable for everybody.
    """
    fake = MarquezServer()
    server = _Server(("127.0.0.1", 0), type("_FakeHandler", (_Handler,), {"marquez": fake}))
    fake.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(_CLOSE_S,), name="fake-marquez", daemon=True).start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
