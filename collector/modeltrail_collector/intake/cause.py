"""Why kafka-python cannot connect: it raises the same time-out for everything, and logs the cause."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOGGER = "kafka.net.manager"
_HINTS = (
    ("SaslAuthenticationFailed", "user name or password is wrong"),
    ("UnsupportedSaslMechanism", "the broker does not offer this SASL mechanism"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "the broker's certificate is not signed by a CA known here (ssl.ca.location)",
    ),
    ("SSL", "the listener does not speak TLS as configured (security.protocol)"),
    ("ECONNREFUSED", "nothing listens there; is the broker running?"),
    ("DNS Resolution failure", "the host name is unknown"),
    ("socket disconnected", "the broker hung up: user name, password or security.protocol is wrong"),
)
_FAILED = re.compile(
    r"^(?:Bootstrap connection to \S+|Connection) failed: (.*?)(?: \(backoff .*\))?$", re.DOTALL
)


class _Catcher(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.causes: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if found := _FAILED.match(record.getMessage()):
            self.causes.append(found[1])


@contextmanager
def cause_of_failure() -> Iterator[Callable[[], str | None]]:
    """Within the block, the function that is given says why the client could not connect, if it could not."""
    catcher = _Catcher()
    logger = logging.getLogger(LOGGER)
    logger.addHandler(catcher)
    try:
        yield lambda: _explained(catcher.causes)
    finally:
        logger.removeHandler(catcher)


def _explained(causes: list[str]) -> str | None:
    """The cause that says most: the client sees a refused login as a hang-up half of the time."""
    for sign, hint in _HINTS:
        for text in causes:
            if sign in text:
                return f"{_one_line(text)} — {hint}"
    return _one_line(causes[-1]) if causes else None


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
