"""Where chains ended at some time, in a file kept elsewhere: nothing before them changes unseen.

::

    {"statement": {"format": "modeltrail heads 2", "log": …, "written_at": …, "modeltrail": <version>,
                   "heads": [{"topic", "topic_id", "partition", "next_offset", "chain_end", "changes"}, …]},
     "signature": {"algorithm": "Ed25519", "key": …, "value": …}}

The signature is one of `signing`. `changes` are the ranges that were repaired or removed when the head was
written: one that is made later contradicts it. The first version was a plain array of heads, without a
signature.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from modeltrail_collector.errors import NotVerified
from modeltrail_collector.log import signing
from modeltrail_collector.log.signing import Signature, sign

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FORMAT: Final = "modeltrail heads 2"


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Offsets that are not the original records any more.

    `repaired` ones were collected again, and `digest` is the link after them; `removed` ones are gone on
    purpose, and it is the chain's link behind them.
    """

    first_offset: int
    next_offset: int
    what: Literal["repaired", "removed"]
    digest: str

    def known_to(self, head: "PartitionHead") -> bool:
        """Whether a head lists it; what retention removed may have been in several pieces then."""
        if self.what == "repaired":
            return self in head.changes
        reached = self.first_offset
        for known in sorted(head.changes, key=lambda known: known.first_offset):
            if known.what == "removed" and known.first_offset <= reached:
                reached = max(reached, known.next_offset)
        return reached >= min(self.next_offset, head.next_offset)


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


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    statement: _Statement
    signature: Signature | None = None


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
    file = _File(statement, sign(statement, key) if key else None)
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
    trusted = signing.public_key(public_key) if public_key else None
    try:
        file = _decoded(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotVerified(f"the file of an earlier head cannot be read: {error}") from error
    statement, signature = file.statement, file.signature
    if trusted is not None:
        signing.check("the file of an earlier head", statement, signature, trusted)
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
