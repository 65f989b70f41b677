"""Where chains ended at some time, in a file kept elsewhere: nothing before them changes unseen.

::

    {"statement": {"format": "modeltrail heads 2", "log": …, "written_at": …, "modeltrail": <version>,
                   "heads": [{"topic", "topic_id", "partition", "next_offset", "chain_end", "changes"}, …]},
     "signature": {"algorithm": "Ed25519", "key": …, "value": …}}

The signature (base64) is over the statement as compact JSON in UTF-8 with sorted keys; `key` is the SHA-256
of the public key in DER. `changes` are the ranges that were repaired or removed when the head was written:
one that is made later contradicts it. The first version was a plain array of heads, without a signature.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from modeltrail_collector.errors import ConfigError, NotVerified

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FORMAT: Final = "modeltrail heads 2"
NEW_KEY: Final = "openssl genpkey -algorithm ed25519 -out key.pem"
PUBLIC_KEY: Final = "openssl pkey -in key.pem -pubout -out public.pem"


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Offsets that are not the original records any more.

    `repaired` ones were collected again, and `digest` is the link after them; `removed` ones are gone on
    purpose, and it is the chain's link behind them.
    """

    first_offset: int
    next_offset: int
    what: Literal["repaired", "removed"]
    digest: str


class PartitionHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a chain ended, and what had been changed in it on purpose by then."""

    topic: str
    topic_id: str
    partition: int
    next_offset: int
    chain_end: str
    changes: tuple[Change, ...] = ()


class _Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    log: str
    written_at: str
    modeltrail: str
    heads: tuple[PartitionHead, ...]


class _Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    algorithm: Literal["Ed25519"]
    key: str
    value: bytes


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    statement: _Statement
    signature: _Signature | None = None


class Heads(msgspec.Struct, frozen=True):
    """What a file says; `signed_by` is the key's SHA-256, `trusted` that the signature was checked."""

    heads: tuple[PartitionHead, ...]
    log: str | None = None
    written_at: str | None = None
    signed_by: str | None = None
    trusted: bool = False


def write_heads(log: str, heads: Sequence[PartitionHead], key: "Ed25519PrivateKey | None" = None) -> bytes:
    """A file of heads, signed if there is a key."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    statement = _Statement(FORMAT, log, now, metadata.version("modeltrail"), tuple(heads))
    file = _File(statement, _sign(statement, key) if key else None)
    return msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"


def read_heads(data: bytes, public_key: Path | None = None) -> Heads:
    """Heads as `write_heads` wrote them, of this version or the first.

    Args:
        data: The file.
        public_key: The PEM file of the key that must have signed them.

    Raises:
        NotVerified: The file does not hold heads, or that key has not signed them.
        ConfigError: The key cannot be used.
    """
    trusted = _public_key(public_key) if public_key else None
    try:
        file = _decoded(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotVerified(f"the file of an earlier head cannot be read: {error}") from error
    statement, signature = file.statement, file.signature
    if trusted is not None:
        _check_signature(statement, signature, trusted)
    return Heads(
        statement.heads,
        statement.log or None,
        statement.written_at or None,
        signature.key if signature else None,
        trusted is not None,
    )


def _decoded(data: bytes) -> _File:
    if data.lstrip().startswith(b"["):
        heads = msgspec.json.decode(data, type=tuple[PartitionHead, ...])
        return _File(_Statement("", "", "", "", heads))
    file = msgspec.json.decode(data, type=_File)
    if file.statement.format != FORMAT:
        raise msgspec.DecodeError(
            f"its format is {file.statement.format!r}, this modeltrail reads {FORMAT!r}: "
            "pip install --upgrade 'modeltrail[collector]'"
        )
    return file


def _canonical(statement: _Statement) -> bytes:
    return msgspec.json.encode(statement, order="sorted")


def _sign(statement: _Statement, key: "Ed25519PrivateKey") -> _Signature:
    return _Signature("Ed25519", _fingerprint(key.public_key()), key.sign(_canonical(statement)))


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


def _public_key(path: Path) -> "Ed25519PublicKey":
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


def _check_signature(
    statement: _Statement, signature: _Signature | None, trusted: "Ed25519PublicKey"
) -> None:
    from cryptography.exceptions import InvalidSignature

    if signature is None:
        raise NotVerified("the file of an earlier head is not signed: whoever can write it can forge it")
    try:
        trusted.verify(signature.value, _canonical(statement))
    except InvalidSignature as error:
        ours = _fingerprint(trusted)
        problem = (
            "it was changed after it was signed"
            if signature.key == ours
            else f"it names the key {signature.key[:16]}…, the trusted one is {ours[:16]}…"
        )
        raise NotVerified(f"the signature of an earlier head is not the trusted key's: {problem}") from error
