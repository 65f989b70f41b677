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
)
_FAILED = re.compile(
    r"^(?:Bootstrap connection to \S+|Connection) failed: (.*?)(?: \(backoff .*\))?$", re.DOTALL
)


class _Catcher(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if found := _FAILED.match(record.getMessage()):
            self.last = found[1]


@contextmanager
def cause_of_failure() -> Iterator[Callable[[], str | None]]:
    """Within the block, the function that is given says what the client logged last, with a hint."""
    catcher = _Catcher()
    logger = logging.getLogger(LOGGER)
    logger.addHandler(catcher)
    try:
        yield lambda: _explained(catcher.last) if catcher.last else None
    finally:
        logger.removeHandler(catcher)


def _explained(message: str) -> str:
    text = re.sub(r"\s+", " ", message).strip()
    hint = next((hint for sign, hint in _HINTS if sign in text), None)
    return f"{text} — {hint}" if hint else text
