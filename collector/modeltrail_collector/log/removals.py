"""Records of removals: what retention took, written down before it goes, in a file that is never replaced.

::

    removals/<topic>/<topic id>/<partition>/<number, 20 digits>.json
    {"statement": {"format": "modeltrail removal 1", …},
     "signature": {"algorithm": "Ed25519", "key": …, "value": …}}

The header that is left of each file in a removal holds the SHA-256 of the removal's record, and a record that
of the record before it: none can be altered or taken away unseen. The signature is one of `signing`.
"""

import getpass
import os
import re
import socket
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib import metadata
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from modeltrail_collector.clock import rfc3339
from modeltrail_collector.errors import LogFormatError, NotVerified
from modeltrail_collector.log import signing
from modeltrail_collector.log.log import Log
from modeltrail_collector.log.segment import Segment
from modeltrail_collector.log.signing import Signature
from modeltrail_collector.model import LogPartition

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FORMAT: Final = "modeltrail removal 1"
SUFFIX: Final = ".json"
_ANY_FORMAT: Final = re.compile(r"modeltrail removal [1-9]\d*")


class Rule(NamedTuple):
    """Why records go: they were sealed longer ago than `keep`; who removes them may sign that."""

    keep: timedelta
    now: datetime
    key: "Ed25519PrivateKey | None" = None


class RemovedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A segment or roll-up as it was: its SHA-256 is what the header that is left of it `replaces`."""

    name: str
    sha256: str
    records: int


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a record says.

    The offsets `first_offset` <= offset < `next_offset` held so many `records`; `chain_start` and `chain_end`
    are the links before and behind them. `previous` is the SHA-256 of the record before (empty in the first).
    What lies before `unrecorded_before` was removed by a modeltrail that kept no records yet.
    """

    format: str
    log: str
    topic: str
    topic_id: str
    partition: int
    number: int
    previous: str
    first_offset: int
    next_offset: int
    records: int
    chain_start: str
    chain_end: str
    removed_at: str
    removed_by: str
    keep_seconds: int
    sealed_before: str
    modeltrail: str
    unrecorded_before: int
    files: tuple[RemovedFile, ...]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    statement: Statement
    signature: Signature | None = None


class Removal(msgspec.Struct, frozen=True):
    """A record, and the SHA-256 of its file."""

    name: str
    sha256: str
    statement: Statement
    signature: Signature | None

    @property
    def signed_by(self) -> str | None:
        """The key's SHA-256, as the record claims."""
        return self.signature.key if self.signature else None

    def distrusted(self, trusted: "Ed25519PublicKey") -> str:
        """Why it is not a statement of the trusted key; empty if it is."""
        try:
            signing.check(f"the record {self.name}", self.statement, self.signature, trusted)
        except NotVerified as error:
            return str(error)
        return ""


def folder_of(partition: LogPartition) -> str:
    """Where the records of a partition lie in the log."""
    return f"removals/{partition.topic}/{partition.topic_id}/{partition.partition}"


def written(
    log: Log,
    segments: Sequence[Segment],
    files: Iterable[Segment],
    rule: Rule,
    *,
    before: Sequence[Removal],
    unrecorded_before: int,
) -> tuple[Removal, bytes]:
    """The record of a removal that is about to be made: of neighbouring segments, in these files."""
    first, last = segments[0], segments[-1]
    statement = Statement(
        FORMAT,
        log.uri,
        *(first.partition.topic, first.partition.topic_id, first.partition.partition),
        number=len(before) + 1,
        previous=before[-1].sha256 if before else "",
        first_offset=first.first_offset,
        next_offset=last.next_offset,
        records=sum(segment.rows for segment in segments),
        chain_start=first.chain_start,
        chain_end=last.chain_end,
        removed_at=rfc3339(log.wall()),
        removed_by=_who(),
        keep_seconds=int(rule.keep.total_seconds()),
        sealed_before=_sealed_before(rule),
        modeltrail=metadata.version("modeltrail"),
        unrecorded_before=before[0].statement.unrecorded_before if before else unrecorded_before,
        files=tuple(RemovedFile(file.name, file.sha256, file.rows) for file in files),
    )
    signature = signing.sign(statement, rule.key) if rule.key else None
    data = msgspec.json.format(msgspec.json.encode(_File(statement, signature)), indent=1) + b"\n"
    name = f"{folder_of(first.partition)}/{statement.number:020}{SUFFIX}"
    return Removal(name, sha256(data).hexdigest(), statement, signature), data


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _sealed_before(rule: Rule) -> str:
    try:
        moment = rule.now.astimezone(UTC) - rule.keep
    except OverflowError:
        moment = datetime.min.replace(tzinfo=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read(log: Log, partition: LogPartition) -> tuple[list[Removal], list[str]]:
    """The records of a partition in order, as far as they are sound, and what is wrong with others.

    Raises:
        LogFormatError: A newer modeltrail wrote one.
        Unavailable: The store does not answer.
    """
    found: list[Removal] = []
    problems: list[str] = []
    folder = folder_of(partition)
    for name in log.store.files(folder):
        number = name.removesuffix(SUFFIX)
        if len(number) != 20 or not number.isdecimal():
            problems.append(f"{folder}/{name} is no record of a removal")
            continue
        try:
            removal = _read(f"{folder}/{name}", log.store.read(f"{folder}/{name}"))
            _check_place(removal, partition, int(number), found)
        except NotVerified as error:
            problems.append(str(error))
        else:
            found.append(removal)
    return found, problems


def _read(name: str, data: bytes) -> Removal:
    try:
        version = msgspec.json.decode(data, type=dict[str, msgspec.Raw])["statement"]
        said = msgspec.json.decode(version, type=dict[str, object]).get("format")
        if isinstance(said, str) and said != FORMAT and _ANY_FORMAT.fullmatch(said):
            raise LogFormatError(
                f"{name} has the format {said!r}, this modeltrail reads {FORMAT!r}: "
                "pip install --upgrade 'modeltrail[collector]'"
            )
        file = msgspec.json.decode(data, type=_File)
        if said != FORMAT:
            raise msgspec.ValidationError(f"its format is {said!r}")
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError) as error:
        raise NotVerified(f"{name} is no record of a removal: it was altered, or torn: {error}") from error
    return Removal(name, sha256(data).hexdigest(), file.statement, file.signature)


def _check_place(removal: Removal, partition: LogPartition, number: int, before: Sequence[Removal]) -> None:
    said = removal.statement
    if (said.topic, said.topic_id, said.partition, said.number) != (*_named(partition), number):
        raise NotVerified(
            f"{removal.name} is record {said.number} of {said.topic}/{said.partition}: it was moved"
        )
    if number != (before[-1].statement.number if before else 0) + 1:
        raise NotVerified(f"{removal.name}: the record of the removal before it is missing, or not sound")
    if said.previous != (before[-1].sha256 if before else ""):
        raise NotVerified(f"{removal.name} does not continue the record before it: one of them was altered")


def _named(partition: LogPartition) -> tuple[str, str, int]:
    return partition.topic, partition.topic_id, partition.partition
