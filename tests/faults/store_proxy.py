"""An HTTP proxy in front of an object store, which fails the requests that a test chooses."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["429", "500", "503", "drop", "500 after", "drop after", "hang after"] | float | None
"""What happens to a request: refused; hung up on; answered with an error, a hang-up or nothing at all *after*
it was carried out (the client cannot know); or carried out so many seconds late. None: nothing."""

Plan = Callable[[str, str], Fault]
"""From method and path to the fault."""

HANG_S = 60.0
_HOP = {"transfer-encoding", "connection", "keep-alive", "content-length", "date", "server"}


def no_faults(method: str, path: str) -> Fault:
    return None


class StoreProxy:
    """Forwards to `target`; `plan` says what fails. `requests` are the methods and paths seen."""

    def __init__(self, target: str) -> None:
        self.plan: Plan = no_faults
        self.requests: list[tuple[str, str]] = []
        self.closing = threading.Event()
        proxy = self

        class Handler(_Handler):
            owner = proxy
            upstream = urlsplit(target).netloc

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """What points a client of S3 here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    @contextmanager
    def failing(self, plan: Plan) -> Iterator[None]:
        """Within the block the requests fail as planned."""
        self.plan = plan
        try:
            yield
        finally:
            self.plan = no_faults

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    owner: StoreProxy
    upstream: str
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with suppress(OSError):  # the client was killed, or hung up
            super().handle()

    def _handle(self) -> None:
        body = self._body()
        self.owner.requests.append((self.command, self.path))
        fault = self.owner.plan(self.command, self.path)
        if isinstance(fault, float):
            self.owner.closing.wait(fault)
        elif fault in {"429", "500", "503"}:
            self._answer(int(fault), {}, b"<Error><Code>SlowDown</Code></Error>")
            return
        elif fault == "drop":
            self.close_connection = True
            return
        status, headers, content = self._forward(body)
        if fault == "500 after":
            self._answer(500, {}, b"<Error><Code>InternalError</Code></Error>")
        elif fault == "hang after":
            self.owner.closing.wait(HANG_S)
            self.close_connection = True
        elif fault == "drop after":
            self.close_connection = True
        else:
            self._answer(status, headers, content)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _handle  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.upstream, timeout=60)
        try:
            headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        length = next((v for k, v in headers.items() if k.lower() == "content-length"), str(len(content)))
        self.send_response(status)
        for key, value in headers.items():
            if key.lower() not in _HOP:
                self.send_header(key, value)
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
