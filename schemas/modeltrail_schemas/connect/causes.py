"""Why a connection to Kafka failed, in words that say what to look at."""

import re
import shlex
import ssl
from collections.abc import Mapping
from typing import Any, Final

from kafka import errors

from modeltrail_schemas.connect.tokens import TokenError

HANGS_UP: Final = "socket disconnected"
"""What kafka-python says of a broker that closes the connection without a word."""

_TLS_ALERT: Final = 0x15030000
_FINAL = (
    errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.InvalidReceiveError,
    errors.KafkaConfigurationError,
    TokenError,
    ssl.SSLError,
    FileNotFoundError,
    PermissionError,
)


class Failure:
    """A connection that failed: where, and why."""

    def __init__(self, where: str, error: Exception) -> None:
        self.where = where
        self.error = error

    @property
    def is_final(self) -> bool:
        """Whether trying again cannot help."""
        return isinstance(self.error, _FINAL) or "SSL: " in str(self.error)


def explain(failure: Failure, settings: Mapping[str, Any]) -> str:
    """A failed connection in a sentence: where, what was said, what to look at."""
    said = re.sub(r"\s+", " ", str(failure.error)).strip() or type(failure.error).__name__
    said = re.sub(r"^\[Error \d+\] (\w+): \1", r"\1", said)
    hint = None if isinstance(failure.error, TokenError) else _hint(failure.error, said, settings)
    return f"{failure.where}: {said}" + (f" — {hint}" if hint else "")


def grant(operation: str, resource: str, name: str, servers: str, settings: Mapping[str, Any]) -> str:
    """Which permission is missing, and the command that gives it."""
    user = principal(settings)
    command = [
        "kafka-acls.sh", "--bootstrap-server", servers, "--add", "--allow-principal", user,
        "--operation", operation, f"--{resource}", *([name] if name else []),
    ]  # fmt: skip
    what = f"the {resource} {name}" if name else f"the {resource}"
    return f"{user} has no permission {operation} for {what}. Grant it: {shlex.join(command)}"


def principal(settings: Mapping[str, Any]) -> str:
    """Who we are for the broker's ACLs, as far as a client can tell."""
    if settings.get("sasl_mechanism") == "OAUTHBEARER":
        return "User:SUB-OF-THE-TOKEN"
    if settings.get("sasl_plain_username"):
        return f"User:{settings['sasl_plain_username']}"
    if settings.get("ssl_certfile"):
        return "User:SUBJECT-OF-THE-CERTIFICATE"
    return "User:ANONYMOUS"


def _hint(error: Exception, said: str, settings: Mapping[str, Any]) -> str | None:
    protocol = settings.get("security_protocol", "PLAINTEXT")
    if isinstance(error, errors.InvalidReceiveError) and _looks_like_tls(said):
        return f"this listener speaks TLS, but security.protocol is {protocol}: write {_with_tls(protocol)}"
    if isinstance(error, (ssl.SSLError, FileNotFoundError, PermissionError)):
        return "check ssl.ca.location, ssl.certificate.location, ssl.key.location and ssl.key.password"
    if "SSL" in said:
        return _tls_hint(said, settings)
    if "ECONNREFUSED" in said:
        return "nothing listens there; is the broker running?"
    if "DNS Resolution failure" in said:
        return "the host name is unknown"
    if HANGS_UP in said:
        asked = f" with {settings['sasl_mechanism']}" if settings.get("sasl_mechanism") else ""
        return f"the broker hung up: does this listener speak security.protocol {protocol}{asked}?"
    return _login_hint(error, protocol, settings)


def _login_hint(error: Exception, protocol: str, settings: Mapping[str, Any]) -> str | None:
    mechanism = settings.get("sasl_mechanism")
    if isinstance(error, errors.SaslAuthenticationFailedError):
        if mechanism == "OAUTHBEARER":
            return "the broker does not take the token: it has ended, or is not meant for this broker"
        return f"user name or password is wrong (sasl.username is {settings.get('sasl_plain_username')!r})"
    if isinstance(error, errors.UnsupportedSaslMechanismError):
        return f"the broker does not offer this SASL mechanism ({mechanism}) here"
    if isinstance(error, errors.IllegalSaslStateError):
        return f"this listener takes no SASL, but security.protocol is {protocol}"
    return None


def _looks_like_tls(said: str) -> bool:
    """A TLS alert read as the length of a Kafka frame."""
    found = re.search(r"length: (\d+)", said)
    return found is not None and int(found[1]) & 0xFFFF0000 == _TLS_ALERT


def _with_tls(protocol: str) -> str:
    return "SASL_SSL" if protocol.startswith("SASL") else "SSL"


def _tls_hint(said: str, settings: Mapping[str, Any]) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in said:
        if "expired" in said:
            return "the broker's certificate has expired: it needs a new one"
        if "mismatch" in said or "not valid for" in said:
            return (
                "the broker's certificate is for another name: use one of its names in bootstrap.servers "
                "and advertised.listeners"
            )
        return "the broker's certificate is not signed by a CA known here (ssl.ca.location)"
    if "ALERT" in said:
        if settings.get("ssl_certfile"):
            return (
                "the broker does not accept our certificate (ssl.certificate.location): which CA signed it?"
            )
        return "the broker wants a client certificate (ssl.certificate.location and ssl.key.location)"
    return (
        "this listener does not speak TLS, but security.protocol is "
        f"{settings.get('security_protocol', 'PLAINTEXT')}"
    )
