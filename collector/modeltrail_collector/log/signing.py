"""Signatures (Ed25519) of statements about the log: what `heads` and `removals` write.

A signature (base64) is over the statement as compact JSON in UTF-8 with sorted keys; `key` is the SHA-256 of
the public key in DER.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from modeltrail_collector.errors import ConfigError, NotVerified

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NEW_KEY: Final = "openssl genpkey -algorithm ed25519 -out key.pem"
PUBLIC_KEY: Final = "openssl pkey -in key.pem -pubout -out public.pem"


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who signed, and what it takes to check that."""

    algorithm: Literal["Ed25519"]
    key: str
    value: bytes


def sign(statement: msgspec.Struct, key: "Ed25519PrivateKey") -> Signature:
    """The signature of a statement."""
    return Signature("Ed25519", _fingerprint(key.public_key()), key.sign(_canonical(statement)))


def check(
    what: str, statement: msgspec.Struct, signature: Signature | None, trusted: "Ed25519PublicKey"
) -> None:
    """Whether the trusted key has signed a statement; `what` it is, for people.

    Raises:
        NotVerified: It has not, or the statement was changed since.
    """
    from cryptography.exceptions import InvalidSignature

    if signature is None:
        raise NotVerified(f"{what} is not signed: whoever can write it can forge it")
    try:
        trusted.verify(signature.value, _canonical(statement))
    except InvalidSignature as error:
        ours = _fingerprint(trusted)
        problem = (
            "it was changed after it was signed"
            if signature.key == ours
            else f"it names the key {signature.key[:16]}…, the trusted one is {ours[:16]}…"
        )
        raise NotVerified(f"the signature of {what} is not the trusted key's: {problem}") from error


def _canonical(statement: msgspec.Struct) -> bytes:
    return msgspec.json.encode(statement, order="sorted")


def private_key(path: Path) -> "Ed25519PrivateKey":
    """The key in a PEM file.

    Raises:
        ConfigError: It cannot be used.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = _loaded(path, "private", lambda data: load_pem_private_key(data, None))
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(path, "private", "it is a key of another kind")
    return key


def public_key(path: Path) -> "Ed25519PublicKey":
    """The public key in a PEM file.

    Raises:
        ConfigError: It cannot be used.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = _loaded(path, "public", load_pem_public_key)
    if not isinstance(key, Ed25519PublicKey):
        raise _unusable(path, "public", "it is a key of another kind")
    return key


def _loaded(path: Path, kind: str, load: Any) -> object:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return load(path.read_bytes())
    except TypeError as error:  # what it raises for an encrypted one
        raise ConfigError(
            f"{path} is encrypted: decrypt it for the moment of signing (openssl pkey -in {path} -out …)"
        ) from error
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise _unusable(path, kind, str(error).partition("\n")[0].partition(". ")[0]) from error


def _unusable(path: Path, kind: str, problem: str) -> ConfigError:
    how = NEW_KEY if kind == "private" else PUBLIC_KEY
    return ConfigError(f"{path} is no Ed25519 {kind} key in PEM ({problem}); one is made by: {how}")


def _fingerprint(key: "Ed25519PublicKey") -> str:
    from hashlib import sha256

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
