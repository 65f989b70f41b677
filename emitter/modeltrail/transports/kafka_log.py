"""What kafka-python says, kept from the host's log and searched for the cause of a failure.

Why kafka-python 3.0.12 could not send often stands only in its log. And its log would appear on the host's
stderr: dozens of lines for one broker that is down. So the records of our clients, and of no others, are
taken out here; the logger ``modeltrail.kafka`` has them at DEBUG, but for kafka-python's own DEBUG lines:
these hold whole configurations and requests, and so passwords and tokens.
"""

import logging
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger("modeltrail.kafka")

_ours: dict[str, deque[str]] = {}
_calling = threading.local()
_known = 0

# The lines that name a cause, most telling first.
_CAUSES = (
    re.compile(
        r"SaslAuthenticationFailed|SaslHandshake|UnsupportedSaslMechanism|Authentication", re.IGNORECASE
    ),
    re.compile(r"CERTIFICATE|certificate|Handshake failed|\bSSL\b|\bTLS\b"),
    re.compile(r"not authorized|Authorization"),
    re.compile(r"not found in cluster metadata|not a valid topic name"),
    re.compile(r"Connection failed|Bootstrap connection|ECONN|refused|timed out|getaddrinfo", re.IGNORECASE),
)
_NOISE = re.compile(
    r"\s*\(backoff [\d.]+ secs\)|^<[^>]*>: |^Bootstrap connection to \S+ failed: |^Connection failed: "
)


class _TakeOut(logging.Filter):
    """Drops a record of one of our clients after noting it."""

    def filter(self, record: logging.LogRecord) -> bool:
        client = _client()
        if client is None:
            return True
        message = record.getMessage()
        if record.levelno >= logging.WARNING and client in _ours:
            _ours[client].append(message)
        if record.levelno > logging.DEBUG:
            log.debug("%s: %s", record.name, message)
        return False


_take_out = _TakeOut()


def _client() -> str | None:
    """Our client that the current thread works for: inside one of our calls, or one of its own threads."""
    called: str | None = getattr(_calling, "client", None)
    if called is not None:
        return called
    thread = threading.current_thread()
    config = getattr(thread, "config", None)  # the producer's sender thread has no name of its own
    name = str(config.get("client_id", "")) if isinstance(config, dict) else thread.name
    name = name.removeprefix("kafka-io-")
    return name if name in _ours else None


def _take_out_of_new_loggers() -> None:
    """Each module of kafka-python makes one when it is imported."""
    global _known  # noqa: PLW0603  how many loggers there were, of whomever
    loggers = logging.root.manager.loggerDict
    if len(loggers) != _known:
        _known = len(loggers)
        for name in [name for name in list(loggers) if name.startswith("kafka.")]:
            logging.getLogger(name).addFilter(_take_out)


@contextmanager
def listening(client_id: str) -> Iterator[None]:
    """Take out what kafka-python logs for this client: here for the block, in its own threads for good."""
    _ours.setdefault(client_id, deque(maxlen=50))
    _take_out_of_new_loggers()
    before = getattr(_calling, "client", None)
    _calling.client = client_id
    try:
        yield
    finally:
        _calling.client = before


def forget(client_id: str) -> None:
    """Drop what was noted for a client that is gone; its last lines still stay out of the host's log."""
    if client_id in _ours:
        _ours[client_id].clear()


def cause(client_id: str) -> str | None:
    """The most telling line that kafka-python logged for a client; None if it logged nothing of the kind."""
    lines = list(_ours.get(client_id, ()))
    for pattern in _CAUSES:
        for line in reversed(lines):
            if pattern.search(line):
                return _NOISE.sub("", line)
    return None
