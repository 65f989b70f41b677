"""A backend of OpenLineage events that remembers what came, and answers as a test wants."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

Answer = tuple[int, bytes, dict[str, str]]
TAKEN: Answer = (201, b"", {})
PAGE: Answer = (500, b"<html>Error 500</html>", {"Content-Type": "text/html"})


class Request(NamedTuple):
    """One POST; times are monotonic."""

    path: str
    headers: dict[str, str]
    body: bytes
    began: float
    ended: float

    @property
    def event(self) -> dict:
        return json.loads(self.body)

    @property
    def said(self) -> tuple[str, str]:
        """The run and its state."""
        return self.event["run"]["runId"], self.event["eventType"]


class Backend:
    """`answer` is called with each body; `well` is what a GET is answered with."""

    def __init__(self) -> None:
        self.url = ""
        self.got: list[Request] = []
        self.answer: Callable[[bytes], Answer] = lambda _: TAKEN
        self.delay: Callable[[], float] = lambda: 0
        self.well = 200
        self.asked: list[str] = []

    @property
    def said(self) -> list[tuple[str, str]]:
        """What was sent, in the order in which it was answered."""
        return [request.said for request in self.got]


@contextmanager
def backend(port: int = 0) -> Iterator[Backend]:
    """A server in this process."""
    found = Backend()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            began = time.monotonic()
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:  # whoever sent it was killed meanwhile
                self.close_connection = True
                return
            time.sleep(found.delay())
            answer = found.answer(body)
            found.got.append(Request(self.path, dict(self.headers), body, began, time.monotonic()))
            self.reply(*answer)

        def do_GET(self) -> None:
            found.asked.append(self.path)
            self.reply(found.well, b"{}", {})

        def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """A relay that was killed leaves in the middle of a request."""

    server = Server(("127.0.0.1", port), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
