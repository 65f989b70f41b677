"""What the broker of this folder speaks: TLS, mTLS, each SASL mechanism; and its ACLs."""

from pathlib import Path

from kafka_broker import Broker
from security.identity import AUDIENCE, Provider

MODULE = "org.apache.kafka.common.security"
PASSWORDS = {"alice": "alice-pass-7391", "bob": "bob-pass-7392", "carol": "carol-pass-7393"}
LISTENERS = {
    "TLS": "SSL",
    "MTLS": "SSL",
    "EXPIRED": "SSL",
    "ELSEWHERE": "SSL",
    "SASLP": "SASL_PLAINTEXT",
    "SASLS": "SASL_SSL",
    "ONLYSCRAM": "SASL_PLAINTEXT",
}


class Secured:
    """The broker, its certificates, its identity provider, and an administrator's client."""

    def __init__(self, broker: Broker, directory: Path, provider: Provider) -> None:
        self.broker, self.directory, self.provider = broker, directory, provider

    def servers(self, listener: str) -> str:
        return f"127.0.0.1:{self.broker.port(listener)}"

    def file(self, name: str) -> str:
        return str(self.directory / name)


def properties(directory: Path, provider: Provider) -> dict[str, str]:
    users = " ".join(f'user_{name}="{password}"' for name, password in PASSWORDS.items())
    found = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(directory / "broker.bundle.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(directory / "ca.pem"),
        "listener.name.mtls.ssl.client.auth": "required",
        "listener.name.expired.ssl.keystore.location": str(directory / "expired.bundle.pem"),
        "listener.name.elsewhere.ssl.keystore.location": str(directory / "elsewhere.bundle.pem"),
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "listener.name.onlyscram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS;User:alice;User:trail;User:CN=client;User:CN=ca",
        "allow.everyone.if.no.acl.found": "false",
    }
    for listener in ("saslp", "sasls", "onlyscram"):
        prefix = f"listener.name.{listener}"
        found |= {
            f"{prefix}.plain.sasl.jaas.config": f"{MODULE}.plain.PlainLoginModule required {users};",
            f"{prefix}.scram-sha-256.sasl.jaas.config": f"{MODULE}.scram.ScramLoginModule required;",
            f"{prefix}.scram-sha-512.sasl.jaas.config": f"{MODULE}.scram.ScramLoginModule required;",
            f"{prefix}.oauthbearer.sasl.jaas.config": (
                f"{MODULE}.oauthbearer.OAuthBearerLoginModule required;"
            ),
            f"{prefix}.oauthbearer.sasl.server.callback.handler.class": (
                f"{MODULE}.oauthbearer.OAuthBearerValidatorCallbackHandler"
            ),
            f"{prefix}.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": f"{provider.url}/keys",
            f"{prefix}.oauthbearer.sasl.oauthbearer.expected.audience": AUDIENCE,
        }
    found |= {
        "sasl.oauthbearer.jwks.endpoint.url": f"{provider.url}/keys",
        "sasl.oauthbearer.expected.audience": AUDIENCE,
    }
    return found


def add_scram_users(servers: str) -> None:
    from kafka.admin import KafkaAdminClient, ScramMechanism, UserScramCredentialUpsertion

    admin = KafkaAdminClient(bootstrap_servers=servers)
    try:
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            admin.alter_user_scram_credentials(
                [
                    UserScramCredentialUpsertion(name, mechanism, password, iterations=4096)
                    for name, password in PASSWORDS.items()
                ]
            )
    finally:
        admin.close()
