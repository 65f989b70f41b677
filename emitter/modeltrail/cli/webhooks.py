"""`modeltrail webhooks`: an address that other systems send word to."""

import os
import signal
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any, Final

import click

from modeltrail import settings, transports
from modeltrail.errors import ConfigError
from modeltrail.mlflow import names
from modeltrail.mlflow import webhooks as told

MAX_BODY: Final = 1 << 20
TIMEOUT_S: Final = 10


@click.group()
def webhooks() -> None:
    """Listen to what other systems say of their models.

    \b
    modeltrail webhooks mlflow --tracking-uri https://mlflow.example --secret-env HOOK_SECRET
    """


@webhooks.command()
@click.option(
    "--tracking-uri",
    metavar="URI",
    envvar="MLFLOW_TRACKING_URI",
    required=True,
    help="The MLflow server, as its users name it: models go by it.  [default: MLFLOW_TRACKING_URI]",
)
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:8730", show_default=True, help="Where.")
@click.option("--secret-env", metavar="NAME", help="The variable that holds the webhook's secret.")
def mlflow(*, tracking_uri: str, listen: str, secret_env: str | None) -> int:
    """Tell of versions, tags and aliases of an MLflow registry, by its webhooks.

    A message is answered with 200 when its events are safe, and may be sent again. 401: its signature is
    not of the secret, or it is older than five minutes; 400: it is none of MLflow's; 503: its events were
    not taken, try again. Goes on until SIGTERM or Ctrl-C.

    \b
    modeltrail webhooks mlflow --tracking-uri http://localhost:5000
    """
    if settings.current().disabled:
        raise ConfigError("nothing is received while modeltrail is disabled (OPENLINEAGE_DISABLED)")
    secret = os.environ.get(secret_env, "") if secret_env else ""
    host, port = _address(listen)
    if secret_env and not secret:
        raise ConfigError(f"--secret-env names {secret_env}, which is not set")
    if not secret and not _is_loopback(host):
        raise ConfigError(f"{host} can be reached from other machines: give --secret-env")
    server = _Server((host, port), told.Receiver(names.namespace(tracking_uri)), secret)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    click.echo(f"Listening on http://{host}:{server.server_address[1]}", err=True)
    with server:
        server.serve_forever()
    transports.close()
    return 0


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"--listen is {listen!r}; give HOST:PORT")
    return host, int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Server(ThreadingHTTPServer):
    """One thread for each connection, one message at a time."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], receiver: told.Receiver, secret: str) -> None:
        super().__init__(address, _Handler)
        self.receiver = receiver
        self.secret = secret
        self.turn = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    timeout = TIMEOUT_S
    server: _Server

    def do_POST(self) -> None:
        """Take one message."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._answer(HTTPStatus.LENGTH_REQUIRED, "the length of the message is missing")
        elif len(length) > 9 or int(length) > MAX_BODY:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a message has at most {MAX_BODY} bytes")
        else:
            self._take(self.rfile.read(int(length)))

    def _take(self, body: bytes) -> None:
        headers = {name: self.headers.get(name, "") for name in told.HEADERS}
        if self.server.secret:
            try:
                told.check(headers, body, self.server.secret)
            except told.Refused as refused:
                self._answer(HTTPStatus.UNAUTHORIZED, str(refused))
                return
        delivery = headers[told.DELIVERY]
        if not delivery:
            self._answer(HTTPStatus.BAD_REQUEST, f"{told.DELIVERY} is missing")
            return
        try:
            with self.server.turn:
                events = self.server.receiver.events(delivery, body)
                is_safe = all(transports.emit(event) for event in events)
        except told.Refused as refused:
            self._answer(HTTPStatus.BAD_REQUEST, str(refused))
            return
        if is_safe:
            self._answer(HTTPStatus.OK, f"{len(events)} events")
        else:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "the events were not taken")

    def _answer(self, status: HTTPStatus, text: str) -> None:
        content = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  as http.server calls it
        """One line for each message, on stderr."""
        click.echo(f"{self.address_string()} {format % args}", err=True)
