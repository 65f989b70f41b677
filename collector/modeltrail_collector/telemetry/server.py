"""/metrics and /health over HTTP, from a thread of the process that they are about."""

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import ThreadingWSGIServer, make_wsgi_app

from modeltrail_collector.errors import ConfigError
from modeltrail_collector.telemetry.boards import Board

LOOPBACK = "127.0.0.1"
CLOSE_S = 0.1


@contextlib.contextmanager
def serve(address: str, board: Board) -> Iterator[str]:
    """Answer at `HOST:PORT` (`:PORT` and `PORT`: on this machine only) within the block; gives the URL.

    Raises:
        ConfigError: The address cannot be used.
    """
    host, port = _parsed(address)
    try:
        server = make_server(host, port, _app(board), _Server, _Handler)
    except OSError as error:
        raise ConfigError(
            f"--metrics {address}: cannot listen there: {error.strerror or error}. Give another HOST:PORT"
        ) from error
    threading.Thread(target=server.serve_forever, args=(CLOSE_S,), name="metrics", daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _parsed(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ConfigError(
            f"--metrics {address}: write HOST:PORT, as 0.0.0.0:9464, or PORT for this machine only"
        )
    return host.strip("[]") or LOOPBACK, int(port)


def _app(board: Board) -> Any:
    registry = CollectorRegistry()
    registry.register(board.metrics())
    metrics = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        if path != "/health":
            return _answer(start_response, "404 Not Found", {"error": "there are /metrics and /health"})
        problems, shown = board.health()
        status, word = ("503 Service Unavailable", "failing") if problems else ("200 OK", "ok")
        return _answer(start_response, status, {"status": word, "problems": problems, **shown})

    return app


def _answer(start_response: Any, status: str, body: object) -> list[bytes]:
    start_response(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
    return [msgspec.json.encode(body) + b"\n"]


class _Server(ThreadingWSGIServer):
    """A scrape that hangs holds up neither the next one nor the end of the process."""

    daemon_threads = True


class _Handler(WSGIRequestHandler):
    """Says nothing on stderr."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's own name
        """No line per scrape."""
