"""The server's process: where it listens, and how it ends."""

import ipaddress
import signal
import socket
import ssl
from collections.abc import Callable
from typing import Final

import uvicorn

from modeltrail_collector.errors import ConfigError
from modeltrail_collector.web import reading
from modeltrail_collector.web.app import application
from modeltrail_collector.web.commit import Committer, Sink
from modeltrail_collector.web.status import ServeStatus
from modeltrail_collector.web.tokens import Gate

GRACE_S: Final = 20
"""So long may what is under way take when the end is asked for: less than the 30 s that Kubernetes grants."""

KEEP_ALIVE_S: Final = 65
"""Longer than a proxy before us keeps idle connections, which is a minute as a rule."""


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigError: It cannot.
    """
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        raise ConfigError(
            f"cannot listen at {host}:{port}: {error.strerror or error}. Give another --host or --port"
        ) from error


def is_local(listener: socket.socket) -> bool:
    """Whether only this machine can come."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def serve(
    listener: socket.socket,
    sink: Sink,
    log_uri: str,
    gate: Gate,
    status: ServeStatus,
    *,
    ready: Callable[[], None],
    tls: tuple[str, str] | None = None,
) -> int | None:
    """Answer until a signal comes; then accept nobody, finish what is under way, and say which it was.

    Args:
        listener: Where.
        sink: What keeps the events.
        log_uri: The log that questions are about.
        gate: Who may send, and ask.
        status: Written as we go.
        ready: Called once events are taken.
        tls: The files of the certificate and of its key.

    Raises:
        ConfigError: The certificate or the key cannot be used.
    """
    certificate, key = tls or (None, None)
    config = uvicorn.Config(
        application(Committer(sink, status), gate, status, ready, reading.routes(log_uri, gate, status)),
        ssl_certfile=certificate,
        ssl_keyfile=key,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the certificate {certificate} or its key {key} cannot be used: {error}"
        ) from error
    received: list[int] = []
    # The server raises the signal once more when all is done, which would be the death of us.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: received.append(number))
    uvicorn.Server(config).run(sockets=[listener])
    return received[0] if received else None
