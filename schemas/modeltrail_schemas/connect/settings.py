"""TLS and SASL settings of a Kafka client: by whatever names, checked before anybody connects."""

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI", "AWS_MSK_IAM")

# Names that are not kafka-python's own with dots for underscores.
_RENAMED: Final = {
    "metadata.broker.list": "bootstrap_servers",
    "sasl.mechanisms": "sasl_mechanism",
    "sasl.username": "sasl_plain_username",
    "sasl.password": "sasl_plain_password",
    "ssl.ca.location": "ssl_cafile",
    "ssl.certificate.location": "ssl_certfile",
    "ssl.key.location": "ssl_keyfile",
    "ssl.key.password": "ssl_password",
    "ssl.crl.location": "ssl_crlfile",
    "compression.codec": "compression_type",
    "sasl.oauthbearer.client.credentials.client.id": "sasl_oauthbearer_client_id",
    "sasl.oauthbearer.client.credentials.client.secret": "sasl_oauthbearer_client_secret",
}

OAUTH: Final = frozenset(
    {
        "https_ca_location",
        "sasl_oauth_token_provider",
        "sasl_oauthbearer_client_id",
        "sasl_oauthbearer_client_secret",
        "sasl_oauthbearer_method",
        "sasl_oauthbearer_scope",
        "sasl_oauthbearer_token_endpoint_url",
    }
)
"""Where tokens come from; `tokens.provider` makes kafka-python's one setting of them."""

SECURITY: Final = OAUTH | {
    "sasl_kerberos_domain_name",
    "sasl_kerberos_name",
    "sasl_kerberos_service_name",
    "sasl_mechanism",
    "sasl_plain_password",
    "sasl_plain_username",
    "security_protocol",
    "ssl_cafile",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_context",
    "ssl_crlfile",
    "ssl_keyfile",
    "ssl_password",
}
"""What decides whether and how a broker lets a client in."""

_FILES: Final = {
    "ssl_cafile": "ssl.ca.location",
    "ssl_certfile": "ssl.certificate.location",
    "ssl_crlfile": "ssl.crl.location",
    "ssl_keyfile": "ssl.key.location",
    "https_ca_location": "https.ca.location",
}
_LOGIN: Final = {"sasl_plain_username": "sasl.username", "sasl_plain_password": "sasl.password"}
_CREDENTIALS: Final = {
    "sasl_oauthbearer_token_endpoint_url": "sasl.oauthbearer.token.endpoint.url",
    "sasl_oauthbearer_client_id": "sasl.oauthbearer.client.id",
    "sasl_oauthbearer_client_secret": "sasl.oauthbearer.client.secret",
}


def named(config: Mapping[str, Any]) -> dict[str, Any]:
    """A client configuration by kafka-python's names; what it has no name for keeps its own, underscored."""
    found: dict[str, Any] = {}
    for dotted, value in _flat(config):
        name = _RENAMED.get(dotted, dotted.replace(".", "_"))
        if name == "ssl_endpoint_identification_algorithm":
            found["ssl_check_hostname"] = str(value).lower() not in {"", "none"}
        elif name == "ssl_check_hostname":
            found[name] = str(value).lower() != "false"
        else:
            found[name] = value
    for name in ("security_protocol", "sasl_mechanism"):  # librdkafka takes sasl_ssl and plain too
        if isinstance(found.get(name), str):
            found[name] = found[name].upper()
    for name in ("sasl_plain_username", "sasl_plain_password"):  # a password of digits is a number in YAML
        if isinstance(found.get(name), int):
            found[name] = str(found[name])
    return found


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names; OPENLINEAGE__TRANSPORT__CONFIG__BOOTSTRAP__SERVERS arrives as mappings in mappings."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def problem(settings: Mapping[str, Any]) -> str | None:
    """What is wrong with settings by kafka-python's names, and what to write; None if nothing is seen."""
    protocol = settings.get("security_protocol", "PLAINTEXT")
    if protocol not in PROTOCOLS:
        return f"security.protocol is {protocol!r}; write one of {', '.join(PROTOCOLS)}"
    mechanism = settings.get("sasl_mechanism")
    if not protocol.startswith("SASL_"):
        if mechanism is None:
            return None
        return (
            f"sasl.mechanism is {mechanism}, but security.protocol is {protocol}, which uses no SASL: "
            "write SASL_SSL (or SASL_PLAINTEXT)"
        )
    if mechanism not in MECHANISMS:
        return f"sasl.mechanism is {mechanism!r}; write one of {', '.join(MECHANISMS)}"
    return _missing(mechanism, settings)


def unreadable(settings: Mapping[str, Any]) -> str | None:
    """Which of the files that the settings name cannot be read; None if all can."""
    for name, dotted in _FILES.items():
        path = settings.get(name)
        if path is not None and not os.access(path, os.R_OK):
            return f"{dotted} is {str(path)!r}, which is no file that can be read"
    return None


def _missing(mechanism: str, settings: Mapping[str, Any]) -> str | None:
    if mechanism == "PLAIN" or mechanism.startswith("SCRAM"):
        needed = _LOGIN
    elif mechanism == "OAUTHBEARER" and not settings.get("sasl_oauth_token_provider"):
        needed = _CREDENTIALS
    else:
        return None
    missing = [dotted for name, dotted in needed.items() if not settings.get(name)]
    return f"sasl.mechanism is {mechanism}, which needs {' and '.join(missing)} too" if missing else None
